"""A task's media, fetched safely and kept on disk."""
