"""Setting a project up, and why no mask appears: one kind of check a module."""
