"""The use case: pictures are encoded before anybody clicks on them, whenever the device has nothing better to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from label_studio_sam2.background.job import Job, Result
from label_studio_sam2.background.over_tasks import run_over
from label_studio_sam2.context import Context
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.turn import Priority
from label_studio_sam2.errors import CacheTooSmall, RequestError, ServiceError
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.protocol import PredictRequest, Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import ObjectTag
from label_studio_sam2.labelstudio.regions.words import possible
from label_studio_sam2.task_media import Place, picture, shown
from label_studio_sam2.types import Picture
from label_studio_sam2.wording import counted

KIND = "warm project"

NEXT = 3
"""Tasks behind an opened one that are encoded too: an annotator on a slow CPU needs longer for one than that."""

GB = 1e9


def task_opened(request: PredictRequest, context: Context) -> None:
    """A task was opened: its picture is encoded in the background, and, where an API key is set, the next ones too."""
    task = request.tasks[0]
    with suppress(ServiceError):  # a picture that can't be had is reported to the click that needs it
        config = labeling_config.parse(request.label_config, task.data)
        if config.object().kind == "Image":
            tag = config.object()
            warm(task, tag, request.project_id, context, words=possible(config, tag.name))
            if context.label_studio.url and context.label_studio.key and task.number is not None:
                _warm_next(request.project_id, task.number, request.label_config, context)


def warm(task: Task, tag: ObjectTag, project: int | None, context: Context, *, words: bool = False) -> None:
    """Encodes the task's (first) picture, and makes it ready for a click and, where `words`, for words: these by a
    detector that is open already, for most tasks never need one."""

    def work(_job: Job) -> None:
        segmenter, shown_picture = context.segmenter(), picture(task, (tag, None), context)
        embedded = segmenter.embed(shown_picture, Priority.PREWARM)
        segmenter.await_click(context.model(project), embedded)
        finder = context.words.opened
        if words and finder is not None:
            finder.look(shown_picture, Priority.PREWARM)

    context.jobs.submit("warm", ("warm", tag.address(task.data)), work, title=f"Task {task.id}")


def _warm_next(project: int | None, after: int, label_config: str | None, context: Context) -> None:
    if project is None:
        return

    def work(job: Job) -> None:
        found = project_tasks.tasks(context.label_studio, project, after=after, page_size=NEXT)
        for task in islice(found, NEXT):
            if not job.cancelled:
                with suppress(ServiceError):
                    tag = labeling_config.parse(label_config, task.data).object()
                    embed = picture(task, (tag, None), context)
                    context.segmenter().embed(embed, Priority.PREWARM)

    context.jobs.submit(
        "warm", ("warm next", project), work, title=f"{NEXT} tasks after task {after}", replace=True
    )


def warm_project(project: int, context: Context) -> Job:
    """Starts to encode the pictures of all tasks of a project, those that are encoded already excepted.

    Where the project may be asked for words, the detector encodes them too. Raises NotReady, LabelStudioError,
    LabelConfigError, RequestError where the project shows no pictures, CheckpointError where its detector isn't there,
    and CacheTooSmall where they wouldn't stay.
    """
    segmenter, client = context.segmenter(), context.label_studio
    label_config = client.project(project).get("label_config")
    config = labeling_config.parse(label_config)
    if all(tag.kind != "Image" for tag in config.objects.values()):
        raise RequestError(f"Project {project} shows no pictures; there is nothing to encode ahead.")
    total = project_tasks.count(client, project)
    encoders = _encoders(segmenter, context, words=any(possible(config, name) for name in config.objects))
    each = sum(one.nbytes for one in encoders)
    _make_sure_of_room(segmenter, total, each, context.settings.memory_cache_mb << 20)

    def work(job: Job) -> Result:
        def one(_place: int, task: Task) -> str:
            places = shown(task, labeling_config.parse(label_config, task.data))
            return " and ".join(sorted({_warmed(task, place, encoders, context) for place in places}))

        tasks = enumerate(project_tasks.tasks(client, project))
        return run_over(job, tasks, total, one, problems=context.problems, project=project)

    size = total * each / GB
    return context.jobs.submit(KIND, (KIND, project), work, title=f"Project {project}, {size:.2f} GB")


class Encoder(NamedTuple):
    """What makes a picture ready: whether it is already, how it becomes so, and the bytes that are kept of it."""

    holds: Callable[[Picture], bool]
    encode: Callable[[Picture, Priority], Any]
    nbytes: int


def _encoders(segmenter: Segmenter, context: Context, *, words: bool) -> list[Encoder]:
    """SAM 2's, and the detector's where words may be asked for. Raises NotReady, CheckpointError."""
    encoders = [Encoder(segmenter.holds, segmenter.embed, segmenter.embedding_bytes())]
    if words:
        finder = context.words.get()
        encoders.append(Encoder(finder.holds, finder.look, finder.side_bytes()))
    return encoders


def _warmed(task: Task, place: Place, encoders: Sequence[Encoder], context: Context) -> str:
    shown_picture = picture(task, place, context)
    lacking = [encoder for encoder in encoders if not encoder.holds(shown_picture)]
    for encoder in lacking:
        memory = context.settings.memory_cache_mb << 20
        _make_sure_of_room(context.segmenter(), 1, encoder.nbytes, memory, counted=False)
        encoder.encode(shown_picture, Priority.BATCH)
    return "encoded" if lacking else "there already"


def _make_sure_of_room(
    segmenter: Segmenter, pictures: int, each: int, memory: int, *, counted: bool = True
) -> None:
    """Raises CacheTooSmall where so many embeddings, of `each` so many bytes, would push others, or each other, out.

    `counted`: those of them that are in Redis already, which are not known one by one, need no room.
    """
    store = segmenter.cache.store
    if store is None:
        if pictures * each > memory:
            raise CacheTooSmall(
                f"{_take(pictures)} {pictures * each / GB:.2f} GB, and the memory of this process keeps "
                f"{memory / GB:.2f} GB of them. Set REDIS_URL, or MEMORY_CACHE_MB to {pictures * each >> 20}."
            )
        return
    redis = store.memory()
    if redis is None:
        raise CacheTooSmall(f"Nothing can be kept: {store.ping()}")
    there = min(pictures, store.count(segmenter.model.fingerprint)) if counted else 0
    needed = (pictures - there) * each
    if redis.maxmemory and redis.used + needed > redis.maxmemory:
        raise CacheTooSmall(
            f"{_take(pictures - there)} {needed / GB:.2f} GB more in Redis, which holds {redis.used / GB:.2f} "
            f"of at most {redis.maxmemory / GB:.2f} GB and would push embeddings out again. Raise its maxmemory to "
            f"{(redis.used + needed) / GB + 0.1:.1f} GB."
        )


def _take(pictures: int) -> str:
    return f"{counted(pictures, 'picture')} {'takes' if pictures == 1 else 'take'}"
