"""What `doctor` prints, and how every command says what went wrong."""

from __future__ import annotations

import sys

import pytest
from label_studio_sam2.cli import app, main
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from typer.testing import CliRunner

from tests.fakes.label_studio_server import Project, ProjectServer
from tests.fakes.running_service import RunningService
from tests.fakes.servers import LEGACY, serving


def test_one_cause_in_several_projects_is_printed_once_with_their_numbers() -> None:
    with serving(ProjectServer()) as label_studio, serving(RunningService()) as service:
        backend = {"id": 1, "url": service.localhost, "is_interactive": False, "state": "CO"}
        label_studio.projects = [
            Project(f"{number}", TEMPLATES["brush"].with_labels(), [dict(backend)]) for number in range(3)
        ]
        environment = {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": LEGACY,
            "PORT": str(service.port),
            "MODEL": "not this one",
        }
        done = CliRunner().invoke(app, ["doctor"], env=environment)
    assert done.exit_code == 1
    lines = done.output.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("problem")]
    assert lines[at].startswith(
        "problem connection (projects 3, 2, 1): The project's ML backend is not interactive"
    )
    assert "label-studio-sam2 connect --project N" in lines[at + 1]
    assert any(line.endswith("Looked at all projects, 3: 3 of them have an ML backend.") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["warm", "--project", "1", "--service", "http://127.0.0.1:1"],
            "No service answers at http://127.0.0.1:1",
        ),
        (["models", "download", "sam3"], "There is no checkpoint sam3. Choose from sam2.1_hiera_tiny, "),
        (
            ["connect", "--create", "Cars", "--template", "masks"],
            "There is no template masks. Choose from brush, ",
        ),
        (["serve", "--port", "99999"], "A setting is wrong: PORT: "),
    ],
)
def test_what_went_wrong_is_one_line_that_begins_with_the_sentence(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["label-studio-sam2", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(sentence)
