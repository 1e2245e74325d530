"""Words and examples to boxes by a detector whose picture side is encoded once, and boxes to masks by SAM 2."""
