"""The HTTP face: routes, what happens to every request, logs, metrics, the status and the page."""
