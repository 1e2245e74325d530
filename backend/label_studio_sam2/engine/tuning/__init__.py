"""Tuning the mask decoder to accepted masks, measuring what came of it, and keeping its versions."""
