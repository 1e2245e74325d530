"""How this service's own requests leave: by which proxy or none, and whose certificates they trust."""
