"""What annotators have accepted in a project so far, as examples of each label for the tasks that nobody has done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.engine.turn import Priority
from label_studio_sam2.engine.words.tokens import Example, Token, Tokens
from label_studio_sam2.errors import RequestError, ServiceError
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.protocol import Region, Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions import prompts
from label_studio_sam2.labelstudio.regions.drawn import by_id, each_alone
from label_studio_sam2.task_media import by_picture, picture

MOST_EXAMPLES = 10
"""Of one label: a handful tells what is meant, and more take as many pictures to look at."""

MOST_TASKS = 100
"""Whose annotations are read, however few labels they hold."""

Examples = Mapping[str, Example]
"""What the objects of each label have in common."""


def examples(project: int, label_config: str, context: Context, job: Job) -> Examples:
    """By label, from the tasks that were imported first. Raises LabelStudioError, RequestError where nothing is
    accepted yet, and CancelledError."""
    found: defaultdict[str, list[Token]] = defaultdict(list)
    for done, number in enumerate(project_tasks.annotated(context.label_studio, project)):
        job.go_on()
        if done == MOST_TASKS:
            break
        job.progress(done, None, "tasks", "Reading what was accepted")
        task = project_tasks.whole(context.label_studio, project, number)
        with suppress(ServiceError):  # of a task that can't be read or fetched the others still tell
            for label, token in _of_task(task, label_config, context, job) if task else ():
                if len(found[label]) < MOST_EXAMPLES:
                    found[label].append(token)
    if not found:
        raise RequestError(
            f"Nothing with a label is accepted in project {project} yet. Label a few tasks first: five objects of each "
            "label are a good beginning."
        )
    return {label: Example.of(tokens) for label, tokens in found.items()}


def _of_task(task: Task, label_config: str, context: Context, job: Job) -> Iterator[tuple[str, Token]]:
    config = labeling_config.parse(label_config, task.data)
    finder = context.words.get(job.go_on)
    read, _ = each_alone(
        lambda regions: prompts.from_regions(regions, config).prompts,
        (group for result in _results(task) for group in by_id(result)),
    )
    areas = [prompt for found in read for prompt in found if prompt.area is not None and prompt.labels]
    for place, here in by_picture(areas).items():
        job.go_on()
        looked = finder.look(picture(task, place, context), Priority.BATCH)
        tokens = Tokens.of(looked.embedding)
        sized, _ = prompts.in_pixels(here, looked.size)
        for prompt, pixels in sized:
            if pixels.box is not None and len(tokens.looks):
                yield prompt.labels[0], tokens.of_box(pixels.box, looked.size)


def _results(task: Task) -> Iterator[list[Region]]:
    """Of submitted annotations; skipped ones accept nothing."""
    for annotation in task.annotations or ():
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            yield [item for item in annotation.get("result") or () if isinstance(item, dict)]
