"""Masks as the bytes and texts that Label Studio keeps them in."""
