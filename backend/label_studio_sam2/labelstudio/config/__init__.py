"""A project's labeling config as values: its tags, its options, and what is wrong with it."""
