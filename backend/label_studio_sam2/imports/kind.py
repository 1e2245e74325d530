"""What a data set's objects become in Label Studio, by the names on the command line."""

from __future__ import annotations

from enum import StrEnum


class As(StrEnum):
    PREDICTIONS = "predictions"
    ANNOTATIONS = "annotations"
