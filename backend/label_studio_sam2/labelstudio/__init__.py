"""Label Studio's wire: requests, labeling configs, regions, media, its API. Knows no torch and no engine."""
