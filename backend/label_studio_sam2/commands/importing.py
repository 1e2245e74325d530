"""`import`: a COCO or YOLO data set as predictions or annotations of a project, and then what couldn't be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from label_studio_sam2.commands.service import call
from label_studio_sam2.doctor.all_checks import service_client
from label_studio_sam2.errors import RequestError
from label_studio_sam2.imports import project
from label_studio_sam2.imports.coco import Coco
from label_studio_sam2.imports.data_set import DataSet, Flaws
from label_studio_sam2.imports.kind import As
from label_studio_sam2.imports.storing import Done, MakeMasks, Wish
from label_studio_sam2.imports.yolo import Yolo
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.protocol import Region, Task
from label_studio_sam2.settings import Settings
from label_studio_sam2.wording import counted

YAML = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class Asked:
    """`data` is a COCO file, a data.yaml, or the folder that holds one of them; `images` where a COCO file's names
    start from. `masks`: what is known by its box alone gets a mask from the service at `service`."""

    data: Path
    project: int
    kind: As
    images: Path | None = None
    url: str | None = None
    turned: bool = False
    masks: bool = False
    service: str | None = None


def run(asked: Asked, settings: Settings) -> int:
    """Prints what was done; the exit code is 1 where something couldn't be used."""
    console, flaws = Console(), Flaws()
    data = _opened(asked, settings, flaws)
    name = asked.data.resolve().parent.name if asked.data.suffix else asked.data.resolve().name
    with ExitStack() as stack:
        client = stack.enter_context(LabelStudioClient.of(settings))
        masks = None
        if asked.masks:
            http = stack.enter_context(service_client(settings, asked.service))
            masks = _masks(http, client, asked.project)
        watch = stack.enter_context(_bar(console))
        wish = Wish(asked.project, asked.kind, name, asked.url)
        done = project.bring_in(client, data, wish, flaws=flaws, masks=masks, watch=watch)
    _show(done, asked, console)
    return int(bool(done.flaws.found))


def _opened(asked: Asked, settings: Settings, flaws: Flaws) -> DataSet:
    path = asked.data
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix.lower() in {*YAML, ".json"})
        if len(found) != 1:
            raise RequestError(
                f"{path} holds {counted(len(found), 'YAML or JSON file')}. Name the one that is meant: a data.yaml, or "
                "COCO's annotations."
            )
        path = found[0]
    if path.suffix.lower() in YAML:
        return Yolo.open(path, flaws, max_pixels=settings.max_image_pixels, turned=asked.turned)
    return Coco.open(path, asked.images)


def _masks(http: httpx.Client, client: LabelStudioClient, number: int) -> MakeMasks:
    """As the editor asks for them."""
    config = client.project(number).get("label_config")

    def masks(task: Task, boxes: Sequence[Region]) -> tuple[list[Region], str]:
        body = {
            "tasks": [{"id": task.id, "data": task.data}],
            "project": str(number),
            "label_config": config,
            "params": {"context": {"result": list(boxes)}},
        }
        answer = call(http, "POST", "/predict", json=body)["results"][0]
        return list(answer["result"]), str(answer["model_version"])

    return masks


def _show(done: Done, asked: Asked, console: Console) -> None:
    before = f"; {counted(done.there, 'task')} had theirs already" if done.there else ""
    console.print(
        f"{counted(done.objects, 'object')} on {counted(done.stored, 'task')} stored as {asked.kind.value} of project "
        f"{asked.project}, {counted(done.tasks, 'new task')}{before}.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if done.flaws.found:
        table = Table("number", "missing", "for example", title="What is missing")
        for what, (count, example) in done.flaws.found.items():
            table.add_row(str(count), what, Text(example))
        console.print(table)


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:
        bar = shown.add_task("reading", total=None)
        yield lambda what, done, of: shown.update(bar, description=what, completed=done, total=of)
