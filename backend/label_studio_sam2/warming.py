"""The use case: pictures are encoded before anybody clicks on them, whenever the device has nothing better to do."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

from label_studio_sam2.engine.cache import embedding_key
from label_studio_sam2.engine.lane import Priority
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.errors import CacheTooSmall, RequestError, ServiceError
from label_studio_sam2.jobs import Job, Result
from label_studio_sam2.labelstudio import labeling_config, project_tasks
from label_studio_sam2.labelstudio.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.protocol import PredictRequest, Task
from label_studio_sam2.pictures import picture, shown
from label_studio_sam2.project_runs import run_over
from label_studio_sam2.service import Service

KIND = "warm project"

NEXT = 3
"""Tasks behind an opened one that are encoded too: an annotator on a slow CPU needs longer for one than that."""

GB = 1e9


def opened(request: PredictRequest, service: Service) -> None:
    """An opened task: its picture is encoded in the background, and, where an API key is set, the next ones too."""
    task = request.tasks[0]
    with suppress(ServiceError):  # a picture that can't be had is reported to the click that needs it
        config = labeling_config.parse(request.label_config)
        if config.object().kind == "Image":
            warm(task, config.object(), request.project_id, service)
            if service.label_studio.url and service.label_studio.key and isinstance(task.id, int):
                _warm_next(request.project_id, task.id, config, service)


def warm(task: Task, tag: ObjectTag, project: int | None, service: Service) -> None:
    """Encodes the task's (first) picture, and makes it ready for a click."""

    def work(_job: Job) -> None:
        segmenter = service.segmenter()
        embedded = segmenter.embed(picture(task, tag, None, service), Priority.PREWARM)
        segmenter.await_click(embedded, service.model(project))

    service.jobs.submit("warm", ("warm", tag.address(task.data)), work, title=f"Task {task.id}")


def _warm_next(project: int | None, after: int, config: LabelingConfig, service: Service) -> None:
    if project is None:
        return

    def work(job: Job) -> None:
        found = project_tasks.tasks(service.label_studio, project, after=after, page_size=NEXT)
        for task in islice(found, NEXT):
            if not job.cancelled:
                with suppress(ServiceError):
                    embed = picture(task, config.object(), None, service)
                    service.segmenter().embed(embed, Priority.PREWARM)

    service.jobs.submit(
        "warm", ("warm next", project), work, title=f"{NEXT} tasks after task {after}", replace=True
    )


def warm_project(project: int, service: Service) -> Job:
    """Starts to encode the pictures of all tasks of a project, those that are encoded already excepted.

    Raises NotReady, LabelStudioError, LabelConfigError, RequestError where the project shows no pictures, and
    CacheTooSmall where they wouldn't stay.
    """
    segmenter, client = service.segmenter(), service.label_studio
    config = labeling_config.parse(client.project(project)["label_config"])
    if all(tag.kind != "Image" for tag in config.objects.values()):
        raise RequestError(f"Project {project} shows no pictures; there is nothing to encode ahead.")
    total = project_tasks.count(client, project)
    _make_sure_of_room(segmenter, total, service.settings.memory_cache_mb << 20)

    def work(job: Job) -> Result:
        def one(task: Task) -> str:
            return " and ".join(
                sorted({_warmed(task, tag, index, service) for tag, index in shown(task, config)})
            )

        tasks = project_tasks.tasks(client, project)
        return run_over(job, tasks, total, one, problems=service.problems, project=project)

    size = total * segmenter.embedding_bytes() / GB
    return service.jobs.submit(KIND, (KIND, project), work, title=f"Project {project}, {size:.2f} GB")


def _warmed(task: Task, tag: ObjectTag, index: int | None, service: Service) -> str:
    segmenter = service.segmenter()
    shown_picture = picture(task, tag, index, service)
    if segmenter.cache.holds(embedding_key(shown_picture.digest, segmenter.model.fingerprint)):
        return "there already"
    _make_sure_of_room(segmenter, 1, service.settings.memory_cache_mb << 20, counted=False)
    segmenter.embed(shown_picture, Priority.BATCH)
    return "encoded"


def _make_sure_of_room(segmenter: Segmenter, pictures: int, memory: int, *, counted: bool = True) -> None:
    """Raises CacheTooSmall where so many embeddings would push others, or each other, out.

    `counted`: those of them that are in Redis already, which are not known one by one, need no room.
    """
    each, store = segmenter.embedding_bytes(), segmenter.cache.store
    if store is None:
        if pictures * each > memory:
            raise CacheTooSmall(
                f"{pictures} pictures take {pictures * each / GB:.2f} GB, and the memory of this process keeps "
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
            f"{pictures - there} pictures take {needed / GB:.2f} GB more in Redis, which holds {redis.used / GB:.2f} "
            f"of at most {redis.maxmemory / GB:.2f} GB and would push embeddings out again. Raise its maxmemory to "
            f"{(redis.used + needed) / GB + 0.1:.1f} GB."
        )
