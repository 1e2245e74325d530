"""What the service's routes take and answer, as OpenAPI says it: /openapi.json, and /docs for people."""
