"""What `predict` says where tasks carry nothing to make masks of."""

from __future__ import annotations

from typing import Any

import pytest
from label_studio_sam2.cli import app
from typer.testing import CliRunner

from tests.fakes.servers import Site, serving

HINT = "`--everything` finds every object"


@pytest.mark.parametrize(
    ("arguments", "result", "hinted"),
    [
        ((), {"without masks": 3}, True),
        ((), {"stored": 2, "without masks": 1}, True),
        ((), {"stored": 3}, False),
        (("--everything",), {"without masks": 3}, False),
    ],
)
def test_everything_is_offered_where_tasks_carry_no_prompts(
    arguments: tuple[str, ...], result: dict[str, int], hinted: bool
) -> None:
    job: dict[str, Any] = {
        "id": "a1",
        "kind": "masks",
        "title": "Project 7",
        "state": "done",
        "progress": {"done": 3, "total": 3, "unit": "tasks"},
        "message": "",
        "result": result | {"reasons": []},
        "finished": "2025-01-01T00:00:00+00:00",
    }
    with serving(Site(lambda exchange: exchange.json(202, job))) as service:
        done = CliRunner().invoke(app, ["predict", "--project", "7", "--service", service.url, *arguments])
    assert done.exit_code == 0
    assert (HINT in done.output) is hinted
