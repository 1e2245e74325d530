"""The use case: the tasks of a project in their order are a film. What is annotated on some of them is followed through
the others, and stored there.

As in a list of pictures, an object begins at the first task that has it, goes both ways, and is corrected by the later
ones. A task is stored as soon as every object has passed it, those nearest to the annotated ones first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from label_studio_sam2.background.job import Job, Result
from label_studio_sam2.background.over_tasks import FAILED, REASONS
from label_studio_sam2.clicks.film import LOOK, Film
from label_studio_sam2.clicks.film_plan import FilmPlan
from label_studio_sam2.context import Context
from label_studio_sam2.errors import RequestError, ServiceError, brief
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.regions import doubts
from label_studio_sam2.labelstudio.regions.annotations import MASK_SHAPES
from label_studio_sam2.labelstudio.regions.doubts import Signals
from label_studio_sam2.labelstudio.regions.drawn import Drawn
from label_studio_sam2.labelstudio.regions.existing import accepted_in
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.labelstudio.regions.tracks import Tracked
from label_studio_sam2.prelabels.batch import WITHOUT_MASKS
from label_studio_sam2.prelabels.delivery import Delivery
from label_studio_sam2.task_media import TaskPictures

KIND = "follow"

MOST_TASKS = 10_000
"""Of one film; none of their pictures is held."""

ANNOTATED = "annotated"
"""What nothing is stored on."""


def follow_tasks(project: int, tasks: Sequence[int] | None, context: Context) -> Job:
    """Starts to follow what is annotated on these tasks through all of them; without them, through the whole project in
    order of id. Raises NotReady, LabelStudioError, LabelConfigError, and RequestError where the project doesn't show
    one picture a task."""
    model, client = context.model(project), context.label_studio
    config = labeling_config.parse(client.project(project).get("label_config"))
    tag = config.object()
    if tag.kind != "Image" or tag.is_list:
        raise RequestError(
            f"The tasks of project {project} don't show one picture each. A list of pictures is followed within its "
            'task, with model_track="true" on its output tag, and a video by itself.'
        )

    def work(job: Job) -> Result:
        shot = Shot.of(_listed(project, tasks, context), tag, config, job)
        pictures = TaskPictures(shot.tasks[0], tag, context, shot.tasks)
        through = Through(Film(pictures, model, project), shot, Delivery(project, model.version, context))
        return through.carried_out(job)

    title = f"Project {project}, {f'{len(tasks)} tasks' if tasks else 'all tasks'}"
    return context.jobs.submit(KIND, (KIND, project, tuple(tasks or ())), work, title=title)


def _listed(project: int, tasks: Sequence[int] | None, context: Context) -> Iterator[Task]:
    """In full. Raises RequestError for one that isn't there."""
    if tasks is None:
        yield from project_tasks.tasks(context.label_studio, project, full=True)
    for number in dict.fromkeys(tasks or ()):
        task = project_tasks.whole(context.label_studio, project, number)
        if task is None:
            raise RequestError(f"Project {project} has no task {number}. Leave it out of the list.")
        yield task


@dataclass(frozen=True)
class Shot:
    """Tasks in their order, without what they carry, and what was annotated on them, by place in `asked`."""

    tasks: list[Task] = field(default_factory=list)
    asked: list[RegionPrompt] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    @cached_property
    def annotated(self) -> set[int | None]:
        """The places of the tasks that are followed from."""
        return {one.item_index for one in self.asked}

    @classmethod
    def of(cls, tasks: Iterable[Task], tag: ObjectTag, config: LabelingConfig, job: Job) -> Shot:
        """Raises RequestError where nothing is annotated, or there is too much to follow."""
        found = cls()
        for place, task in enumerate(tasks):
            job.go_on()
            job.progress(place, None, "tasks", "Reading what was annotated")
            if place == MOST_TASKS:
                raise RequestError(f"At most {MOST_TASKS:,} tasks are followed at once. Name a part of them.")
            prompts, left_out = accepted_in(task, config)
            found.asked.extend(_placed(one, place, task, config) for one in prompts if one.on == tag)
            found.unusable.extend(f"Task {task.id}: {error.detail}" for error in left_out)
            found.tasks.append(Task(id=task.id, data=task.data))
        if not found.asked:
            raise RequestError(
                "None of the tasks has an annotation to follow. Submit one on a task, with a mask or a box of each "
                "object." + "".join(f" {reason}" for reason in found.unusable[:1])
            )
        return found


class Found(NamedTuple):
    """An object on one task: None where it isn't visible."""

    tracked: Tracked | None
    signals: Signals


@dataclass
class Through:
    """A shot on its way through the film."""

    film: Film
    shot: Shot
    delivery: Delivery
    counts: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)

    def carried_out(self, job: Job) -> Result:
        """How often each outcome came, in a word. Raises CancelledError: what is stored by then stays."""
        plans, left_out = self.film.plans(self.shot.asked)
        if not plans:
            raise left_out[0]
        self.reasons += [*self.shot.unusable, *(error.detail for error in left_out)]
        self.counts[ANNOTATED] = len(self.shot.annotated)
        unreadable: dict[int, ServiceError] = {}
        passed: defaultdict[int, dict[str, Found]] = defaultdict(dict)
        total = sum(plan.left for plan in plans)
        for done, (mask,) in enumerate(self.film.followed(plans, unreadable), 1):
            job.go_on()
            job.progress(done, total, "frames", ", ".join(f"{n} {word}" for word, n in self.counts.items()))
            passed[mask.frame][mask.object_id] = Found(Tracked.of(mask), Signals.of(mask))
            if len(passed[mask.frame]) == len(plans):
                self._deliver(mask.frame, plans, passed.pop(mask.frame))
        for place, error in unreadable.items():
            self._failed(place, error)
        return {**self.counts, "reasons": self.reasons[:REASONS]}

    def _deliver(self, place: int, plans: Sequence[FilmPlan], found: Mapping[str, Found]) -> None:
        """A task that every object has passed."""
        if place in self.shot.annotated:
            return
        regions: list[Region] = []
        trusted = []
        for plan in plans:
            tracked, signals = found[plan.object.id]
            if tracked is not None:
                note = LOOK if doubts.doubtful({place: signals}) else ""
                drawn = plan.object.regions(plan.asked_at(place), place, tracked, signals.iou, note)
                regions += [
                    {key: value for key, value in one.items() if key != "item_index"} for one in drawn
                ]
                trusted.append(doubts.trust({place: signals}) or 0.0)
        if not regions:
            self.counts[WITHOUT_MASKS] += 1
            return
        prediction = Prediction(regions, min(trusted), self.film.model.version)
        try:
            self.counts[self.delivery.deliver(place, self.shot.tasks[place], prediction)] += 1
        except ServiceError as error:
            self._failed(place, error)

    def _failed(self, place: int, error: ServiceError) -> None:
        self.counts[FAILED] += 1
        self.reasons.append(brief(f"Task {self.shot.tasks[place].id}: {error.detail}"))
        self.delivery.context.problems.record(self.film.project, type(error).__name__, self.reasons[-1])


def _placed(prompt: RegionPrompt, place: int, task: Task, config: LabelingConfig) -> RegionPrompt:
    """As a prompt on a picture of the film, which is answered as it was drawn if that was a mask; regions of two tasks
    may have the same id."""

    def named(drawn: Drawn) -> Drawn:
        return replace(drawn, ids=tuple(f"{task.id} {one}" for one in drawn.ids))

    area = prompt.area and named(prompt.area)
    control = config.controls.get(area.from_name) if area and area.shape in MASK_SHAPES else None
    outputs = (control,) if control else prompt.outputs
    clicks = tuple(map(named, prompt.clicks))
    return replace(prompt, outputs=outputs, item_index=place, area=area, clicks=clicks)
