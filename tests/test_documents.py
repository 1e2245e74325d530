"""README and docs say what is so: tables, label configs, commands, curl calls; and their links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from textwrap import dedent

import httpx
import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import TAGS
from label_studio_sam2.labelstudio.config.options import PREFIX, READERS, Options
from label_studio_sam2.server.app import create_app
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from pydantic import SecretStr
from typer.core import TyperGroup
from typer.main import get_command

from tests.fakes.settings import settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = {path: path.read_text() for path in (README, *sorted((ROOT / "docs").glob("*.md")))}
TEXT = "\n".join(PAGES.values())
WORDS: dict[object, str] = {True: "true", False: "false", None: "–"}


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's last table, code marks removed."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
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
    if value is None or isinstance(value, bool):
        return WORDS[value]
    return value if isinstance(value, str) else f"{value:g}"


def test_every_output_tag_is_in_the_table() -> None:
    named = {tag.strip() for row in rows("What it answers with")[1:] for tag in row[0].split(",")}
    assert named == {tag.name for tag in TAGS.values() if tag.output}


def test_every_route_is_in_the_table() -> None:
    named = set(re.findall(r"`(?:GET|POST|DELETE) (/[^`]*)`", TEXT))
    served = {route.path for route in create_app(settings()).routes if hasattr(route, "methods")}
    assert {
        path.replace("{job_id}", "{id}") for path in served if not path.startswith(("/web", "/openapi"))
    } <= named


@pytest.mark.parametrize("config", re.findall(r"```xml\n(.*?)```", TEXT, re.DOTALL))
def test_the_label_configs_to_paste_have_nothing_wrong(config: str) -> None:
    assert labeling_config.lint(config) == []


def test_the_curl_calls_work_as_pasted() -> None:
    """The one of words reads a picture into a variable as the other does."""
    (clicked,) = re.findall(r"Works as pasted.*?\n```\n(.*?)```", TEXT, re.DOTALL)
    (in_words,) = re.findall(r"```\n(curl [^`]*\"textarea\".*?)```", TEXT, re.DOTALL)
    picture = clicked.splitlines()[0]
    with running(settings()) as address:
        for call in (clicked, f"{picture}\n{in_words}"):
            local = call.replace("localhost:9090", address.removeprefix("http://"))
            done = subprocess.run(["bash", "-ec", local], capture_output=True, text=True, check=True)
            assert '"polygonlabels":["Star"]' in done.stdout
        assert httpx.get(address + "/ready").is_success


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_to_files_that_are_there(page: Path) -> None:
    """Those between the pages of docs/ are checked by `make docs` too, with their anchors."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[page])
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_named_in_the_readme() -> None:
    named = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", PAGES[README]))
    assert named == {page.name for page in PAGES if page != README}


def blocks(text: str) -> list[str]:
    """What stands between fences, without the indentation of a list."""
    parts = re.split(r"^ *```.*$", text, flags=re.MULTILINE)
    return [dedent(part).strip("\n") for part in parts[1::2]]


LINES = dict.fromkeys(
    line.partition(" # ")[0].strip() for block in blocks(TEXT) for line in block.splitlines()
)
"""What pages give to paste, line by line."""

OURS = [line for line in LINES if re.search(r"label-studio-sam2 [a-z]", line)]
MADE = [line for line in LINES if re.search(r"(^| )make [a-z]", line)]


@pytest.mark.parametrize("line", OURS)
def test_every_command_of_ours_that_is_given_is_one_with_these_options(line: str) -> None:
    words = shlex.split(line.partition("label-studio-sam2 ")[2])
    command = get_command(app)
    while isinstance(command, TyperGroup) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not isinstance(command, TyperGroup), words
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("line", MADE)
def test_every_target_that_is_given_is_one(line: str) -> None:
    target = re.findall(r"(?:^| )make ([a-z-]+)", line)[0]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_what_the_readme_gives_to_paste_stands_in_the_pages_as_well() -> None:
    given = {block for page, text in PAGES.items() if page != README for block in blocks(text)}
    assert [block for block in blocks(PAGES[README]) if block not in given] == []
