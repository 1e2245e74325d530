from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest
from label_studio_sam2.server import logs


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    other, this = os.openpty()
    with os.fdopen(this, "w") as stream:
        yield stream
    os.close(other)


def record(level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "server", "levelno": level, "levelname": logging.getLevelName(level)}
    )
    made.msg, made.args = "%s /predict 200", ("POST",)
    vars(made).update(extra)
    return made


def test_a_terminal_gets_lines_for_people(terminal: TextIO) -> None:
    line = logs.formatter(terminal).format(record(ms=12.5, stages_ms={"decode": 8.0}))
    clock, _, rest = line.partition("  ")
    assert len(clock) == 8
    assert rest == "POST /predict 200  ms 12.5  stages_ms decode 8.0"
    assert "warning: POST" in logs.formatter(terminal).format(record(logging.WARNING))


def test_anything_else_gets_json(terminal: TextIO) -> None:
    line = json.loads(logs.formatter(io.StringIO()).format(record(ms=12.5)))
    assert (line["level"], line["message"], line["ms"]) == ("info", "POST /predict 200", 12.5)


def test_a_traceback_is_kept_in_both(terminal: TextIO) -> None:
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        failed = record(exc_info=sys.exc_info())
    assert "RuntimeError: broken" in logs.formatter(terminal).format(failed)
    assert "RuntimeError: broken" in json.loads(logs.formatter(io.StringIO()).format(failed))["traceback"]
