"""Videos: objects followed frame by frame, in memory that doesn't grow."""
