"""What the C library does with memory that was given back: kept for the next mask, as far as that is one's size.

Otherwise a mask of 12 megapixels is given back to the system and fetched again, page by page, at every click: measured,
three of its sixteen milliseconds.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""

KEPT_BYTES = 128 << 20
"""At the end of the heap, before any of it is given back."""

LARGE_BYTES = 32 << 20
"""From which on memory is asked of the system by itself: where glibc's own threshold ends, too, when it moves."""


def keep_freed_memory() -> bool:
    """For this process; whether its C library can be told so."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(
        mallopt(MMAP_THRESHOLD, LARGE_BYTES) and mallopt(TRIM_THRESHOLD, KEPT_BYTES)
    )
