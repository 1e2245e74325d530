"""Regions, as the editor sends them and as we answer them: prompts, masks, masklets."""
