"""The embedding cache, on the seam between expensive once and cheap many: memory, Redis, the encoder."""
