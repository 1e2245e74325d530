"""Masklets out of Label Studio: an export's tracked regions as DAVIS, COCO, YouTube-VOS or an overlay video.

Nothing is interpolated: a frame has the mask that tracking put on its own keyframe, or none. A frame on which the
editor shows an object whose mask isn't there is left out of the data sets, because they would call the object
background.
"""
