"""The README says what is so: its tables, its label config and its curl call."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx
import pytest
from label_studio_sam2.app import create_app
from label_studio_sam2.commands.running import running
from label_studio_sam2.labelstudio import labeling_config
from label_studio_sam2.labelstudio.controls import TAGS
from label_studio_sam2.labelstudio.options import PREFIX, READERS, Options
from label_studio_sam2.settings import Settings
from pydantic import SecretStr

from tests.http.conftest import settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
WORDS: dict[object, str] = {True: "true", False: "false", None: "–"}


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's last table, code marks removed."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in table]


def test_the_settings_table_is_the_settings() -> None:
    expected = []
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = "" if default in ("", frozenset()) else str(default)
        expected.append([name.upper(), shown, (field.description or "").replace("`", "")])
    assert rows("Settings")[1:] == expected


def test_the_options_table_is_the_options() -> None:
    known = {PREFIX + name: shown(getattr(Options(), name)) for name in READERS}
    assert {row[0]: row[1] for row in rows("What it takes as a prompt") if row[0] in known} == known


def shown(value: object) -> str:
    return WORDS[value] if value is None or isinstance(value, bool) else f"{value:g}"


def test_every_output_tag_is_in_the_table() -> None:
    named = {tag.strip() for row in rows("What it answers with")[1:] for tag in row[0].split(",")}
    assert named == {tag.name for tag in TAGS.values() if tag.output}


def test_every_route_is_in_the_table() -> None:
    named = set(re.findall(r"`(?:GET|POST|DELETE) (/[^`]*)`", README))
    served = {route.path for route in create_app(settings()).routes if hasattr(route, "methods")}
    assert {
        path.replace("{job_id}", "{id}") for path in served if not path.startswith(("/web", "/openapi"))
    } <= named


@pytest.mark.parametrize("config", re.findall(r"```xml\n(.*?)```", README, re.DOTALL))
def test_the_label_configs_to_paste_have_nothing_wrong(config: str) -> None:
    assert labeling_config.lint(config) == []


def test_the_curl_call_works_as_pasted() -> None:
    (call,) = re.findall(r"Works as pasted.*?\n```\n(.*?)```", README, re.DOTALL)
    with running(settings()) as address:
        local = call.replace("localhost:9090", address.removeprefix("http://"))
        done = subprocess.run(["bash", "-ec", local], capture_output=True, text=True, check=True)
        assert httpx.get(address + "/ready").is_success
    assert '"polygonlabels":["Star"]' in done.stdout


@pytest.mark.parametrize("file", re.findall(r"\]\(((?!http)[^)#]+)\)", README))
def test_what_the_readme_links_to_is_there(file: str) -> None:
    assert (ROOT / file).exists()
