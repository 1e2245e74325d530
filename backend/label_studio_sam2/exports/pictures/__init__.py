"""Pictures with their objects out of Label Studio: as COCO, YOLO, Pascal VOC, PNG files, or drawn over.

Each object is written once: clicks and boxes that only asked for a mask are left out, and so is what an annotation
holds of an object a second time (saved again under its prompt's type, or drawn by another tag).
"""
