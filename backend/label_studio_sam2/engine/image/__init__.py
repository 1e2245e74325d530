"""Pictures: encoded once, slowly; every prompt decoded from that at once."""
