"""An annotator asks: a click or box on a picture, a box on a frame of a video."""
