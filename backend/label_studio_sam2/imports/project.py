"""The use case: a data set's objects become predictions or annotations of a project, each picture's once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from label_studio_sam2.errors import LabelConfigError, RequestError
from label_studio_sam2.imports.data_set import DataSet, DataSetPicture, Flaws
from label_studio_sam2.imports.storing import Done, MakeMasks, Storing, Watch, Wish, name_of
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.uploads import stored_name
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag

AT_ONCE = 100
"""Tasks that are made by one call."""

NOT_HERE = "pictures whose file isn't there: not imported"

Open = Callable[[Path], AbstractContextManager[IO[bytes]]]


def bring_in(
    client: LabelStudioClient,
    data: DataSet,
    wish: Wish,
    *,
    flaws: Flaws,
    masks: MakeMasks | None = None,
    open_file: Open = lambda path: path.open("rb"),
    watch: Watch = lambda _what, _done, _of: None,
) -> Done:
    """Makes the tasks that are missing, then stores what they lack: taken up again, it goes on where it ended.

    `masks` makes masks of what is known by its box alone. Raises RequestError, LabelConfigError and LabelStudioError.
    """
    config = labeling_config.parse(client.project(wish.project).get("label_config"))
    tag = _tag(config)
    _check_labels(data, config, wish.project)
    done = Done(flaws=flaws)
    names = _names(data.pictures, wish.url)
    there = set(_there(client, wish, tag))
    missing = {name: one for name, one in names.items() if name not in there}
    if wish.url is None:
        _upload(client, wish.project, missing, done, open_file=open_file, watch=watch)
    else:
        done.tasks = _name(client, wish, tag, list(missing), watch)
    Storing(client, data, wish, config, tag, names, done, masks).store_all(watch)
    return done


def _tag(config: LabelingConfig) -> ObjectTag:
    tags = [tag for tag in config.objects.values() if tag.kind == "Image" and not tag.is_list]
    if len(tags) != 1:
        raise RequestError(
            "The project's labeling config must show one picture a task, with one Image tag: a data set is imported "
            "into such projects only."
        )
    return tags[0]


def _check_labels(data: DataSet, config: LabelingConfig, project: int) -> None:
    """A control without labels of its own takes them from the task's data, or from a Labels tag."""
    held = [control.labels for control in config.controls.values() if control.labels]
    held += [tag.labels for tag in config.labels_tags]
    lacking = [label for label in data.labels if not any(label in labels for labels in held)]
    if lacking:
        options = " ".join(f'--label "{label}"' for label in lacking)
        raise LabelConfigError(
            f"The project's labeling config lacks labels of the data set: "
            f"`label-studio-sam2 connect --project {project} {options}` adds them."
        )


def _names(pictures: Sequence[DataSetPicture], url: str | None) -> dict[str, DataSetPicture]:
    """What tells a picture's task: its address, or the name under which it is uploaded."""
    if url is not None:
        return {url + quote(one.name): one for one in pictures}
    last = {one.name: stored_name(Path(one.name).name) for one in pictures}
    times = Counter(last.values())
    alone = {
        name: short if times[short] == 1 else stored_name(name.replace("/", "-"))
        for name, short in last.items()
    }
    return {alone[one.name]: one for one in pictures}


def _there(client: LabelStudioClient, wish: Wish, tag: ObjectTag) -> Iterator[str]:
    found = project_tasks.tasks(client, wish.project, page_size=project_tasks.PAGE_OF_IDS)
    return (name for task in found if (name := name_of(task, tag, wish.url)))


def _upload(
    client: LabelStudioClient,
    project: int,
    missing: Mapping[str, DataSetPicture],
    done: Done,
    *,
    open_file: Open,
    watch: Watch,
) -> None:
    for place, (name, picture) in enumerate(missing.items(), start=1):
        if picture.path is None:
            done.flaws.add(NOT_HERE, picture.name)
        else:
            with open_file(picture.path) as file:
                client.upload(project, name, file)
            done.tasks += 1
        watch("uploading", place, len(missing))


def _name(client: LabelStudioClient, wish: Wish, tag: ObjectTag, missing: Sequence[str], watch: Watch) -> int:
    """Makes tasks by their pictures' addresses; how many."""
    key = tag.value.removeprefix("$")
    for start in range(0, len(missing), AT_ONCE):
        some = missing[start : start + AT_ONCE]
        client.post(f"/api/projects/{wish.project}/import", [{"data": {key: one}} for one in some])
        watch("making tasks", start + len(some), len(missing))
    return len(missing)
