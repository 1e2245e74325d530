"""The use case of lists that are followed: a click or box on one picture of a list becomes a mask on every one.

As with videos, a job follows and the request waits for it until PREDICT_BUDGET is over. What lies near the prompt comes
first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from typing import Any

from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.tracking_run import State, TrackingRun
from label_studio_sam2.clicks import picture
from label_studio_sam2.clicks.film_plan import WAYS, FilmPlan
from label_studio_sam2.clicks.unawaited import failing, storing
from label_studio_sam2.context import Context
from label_studio_sam2.engine.cache.embedded import Embedded
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.errors import RequestError, ServiceError, Superseded
from label_studio_sam2.labelstudio.api.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.regions import doubts, listed, prompts
from label_studio_sam2.labelstudio.regions.listed import ListedObject
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.request.asker import came
from label_studio_sam2.request.timing import stage
from label_studio_sam2.task_media import PictureList
from label_studio_sam2.types import FrameMask, PackedMask, Prompt
from label_studio_sam2.wording import counted

ATTRIBUTE = "model_track"

LOOK = "look whether this is still the object"
"""Said of a mask on a picture where the object may have been lost."""


def may_be(label_config: str | None) -> bool:
    """Whether a project's clicks may be followed, which is waited for longer than a click."""
    return ATTRIBUTE in (label_config or "").lower()


def meant(drawn: Sequence[Any], task: Task, config: LabelingConfig) -> bool:
    """Whether an annotator drew on a list that is followed."""
    return any(_followed(_tag(item, config), task, config) for item in drawn)


def _tag(item: Any, config: LabelingConfig) -> ObjectTag:
    return config.object(item.get("to_name") if isinstance(item, dict) else None)


def _followed(tag: ObjectTag, task: Task, config: LabelingConfig) -> bool:
    listing = tag.kind == "Image" and tag.is_list and config.options(tag.name).track
    return listing and len(tag.places(task.data)) > 1


def follow(
    drawn: Sequence[Any],
    task: Task,
    config: LabelingConfig,
    model: Model,
    context: Context,
    *,
    project: int | None = None,
) -> Prediction:
    """The regions on all pictures of each list that is followed, as far as they are found by the end of PREDICT_BUDGET,
    and on others what is drawn there. Raises ServiceErrors."""
    until = came() + context.settings.predict_budget
    by_tag: dict[str, list[Any]] = {}
    for item in drawn:
        by_tag.setdefault(_tag(item, config).name, []).append(item)
    answers = []
    for name, items in by_tag.items():
        tag = config.objects[name]
        if _followed(tag, task, config):
            film = Film(PictureList(task, tag, context), model, project)
            answers.append(film.answered(items, config, until))
        else:
            answers.append(picture.segment(items, task, config, model, context, project=project))
    scores = [answer.score for answer in answers if answer.score is not None]
    return Prediction(
        [region for answer in answers for region in answer.result],
        min(scores, default=None),
        model.version,
        tuple(reason for answer in answers for reason in answer.left_out),
    )


@dataclass(frozen=True)
class Film:
    """A list of pictures that a model follows objects through."""

    pictures: PictureList
    model: Model
    project: int | None

    @property
    def task(self) -> Task:
        return self.pictures.task

    @property
    def context(self) -> Context:
        return self.pictures.context

    def answered(self, drawn: Sequence[Any], config: LabelingConfig, until: float) -> Prediction:
        """What is found by then (a time of `time.monotonic`)."""
        plans, left_out = self._plans(drawn, config)
        if not plans:
            if left_out:
                raise left_out[0]
            return Prediction([], None, self.model.version)
        runs = self.context.tracking_runs
        title = f"Task {self.task.id}: {counted(len(plans), 'object')}"
        run = runs.find_or_start(self._run(plans), title)
        with stage("track"):
            finished = run.wait(until)
        if run.state is State.SUPERSEDED:
            raise Superseded("A newer prompt on the same object took this one's place.")
        if run.error is not None and not any(run.found(plan.object.id) for plan in plans):
            raise run.error
        answer = self._answer(plans, run, waits_for=None if finished else runs.before(run))
        return replace(answer, left_out=tuple(error.detail for error in left_out))

    def _plans(
        self, drawn: Sequence[Any], config: LabelingConfig
    ) -> tuple[list[FilmPlan], list[RequestError]]:
        asked = prompts.from_regions(drawn, config, corrections=True)
        plans, left_out = self.plans(asked.prompts)
        return plans, [*asked.left_out, *left_out]

    def plans(self, asked: Sequence[RegionPrompt]) -> tuple[list[FilmPlan], list[RequestError]]:
        """For each object that is asked for, and the errors of what can't be used."""
        plans, left_out = [], list[RequestError]()
        for one in listed.objects(asked):
            usable: list[RegionPrompt] = []
            pixels: dict[int, Prompt] = {}
            for prompt in one.prompts:
                at = listed.place(prompt)
                embedded = self.context.segmenter().embed(self.pictures[at])
                ready, unusable = prompts.in_pixels([prompt], embedded.size)
                left_out += unusable
                for usable_one, here in ready:
                    usable.append(usable_one)
                    pixels[at] = here if pixels else self._refining(here, embedded)
            if usable and usable[0].asks:
                plans.append(FilmPlan(ListedObject(tuple(usable)), pixels, len(self.pictures)))
        return plans, left_out

    def _refining(self, prompt: Prompt, embedded: Embedded) -> Prompt:
        """The prompt with the mask that its last click refines, as on a picture alone: in one go, several clicks give
        worse masks."""
        before = prompt.previous
        if (
            before is None
            or prompt.mask
            or not (before.box or any(point.positive for point in before.points))
        ):
            return prompt
        ((mask,),) = self.context.segmenter().segment(self.model, embedded, [before])
        return replace(prompt, mask=PackedMask.of(mask.bitmap)) if mask.bitmap.any() else prompt

    def _run(self, plans: Sequence[FilmPlan]) -> TrackingRun:
        """What carries these plans out, beginning with what earlier runs found."""
        assignment = Assignment(
            self.task.id,
            self.pictures.digest,
            self.model.version,
            {plan.object.id: plan.prompts for plan in plans},
            masks=True,
            backward=True,
            frame_rates={},
            spans={},
            firsts={plan.object.id: plan.first for plan in plans},
        )
        runs = self.context.tracking_runs.earlier(self.task.id, assignment.digest, self.model.version)
        knowing = [plan.knowing(runs) for plan in plans]
        unreadable = {place: error for run in runs for place, error in run.unreadable.items()}
        run = TrackingRun(
            assignment,
            lambda: self.followed(knowing, unreadable),
            sum(plan.left for plan in knowing),
            unawaited=storing(lambda run: self._answer(plans, run), self.task, self.context),
            failed=failing(self.task, self.project, self.context),
            unreadable=unreadable,
        )
        for plan in knowing:
            for leg, earlier in plan.known.items():
                run.take_over(earlier, plan.object.id, leg.span)
        return run

    def followed(
        self, plans: Sequence[FilmPlan], unreadable: dict[int, ServiceError]
    ) -> Iterator[tuple[FrameMask]]:
        """Mask by mask, those nearest to where their object was asked for first; what can't be read is passed over."""
        firsts = {plan.object.id: plan.first for plan in plans}

        def tracked(name: str, target: Target) -> Iterator[FrameMask]:
            segmenter = self.context.segmenter()
            for masks in segmenter.track_pictures(self.model, self.pictures, {name: target}, unreadable):
                yield from masks

        ways = [plan.follow(way, partial(tracked, plan.object.id)) for plan in plans for way in WAYS]
        for mask in merge(*ways, key=lambda mask: abs(mask.frame - firsts[mask.object_id])):
            yield (mask,)

    def _answer(
        self, plans: Sequence[FilmPlan], run: TrackingRun, *, waits_for: int | None = None
    ) -> Prediction:
        """What a run has found by now; while it goes on, `waits_for` is how many others go first."""
        # Others are answered, so nobody would hear of what can't be read.
        self.context.problems.passed_over(self.project, self.task.id, run.unreadable, len(self.pictures))
        regions: list[Region] = []
        trusted = []
        for plan in plans:
            found, signals = run.found(plan.object.id), run.signals(plan.object.id)
            trusted.append(doubts.trust(signals))
            notes = dict.fromkeys(doubts.doubtful(signals), LOOK)
            notes[plan.first] = self._note(plan, run, waits_for)
            for place in plan.places:
                if (tracked := found.get(place)) is not None:
                    asked, iou = plan.asked_at(place), signals[place].iou
                    regions += plan.object.regions(asked, place, tracked, iou, notes.get(place, ""))
        score = min((trust for trust in trusted if trust is not None), default=None)
        return Prediction(regions, score, self.model.version)

    def _note(self, plan: FilmPlan, run: TrackingRun, waits_for: int | None) -> str:
        """What is to be said of an object in the Info panel of its first region. Pictures count from 1 there."""
        look_at = doubts.doubtful(run.signals(plan.object.id))
        looked = len(run.found(plan.object.id))
        by_now = f"{looked} of {counted(plan.count, 'picture')} looked at by now; the rest goes on"
        if waits_for:
            by_now = f"{counted(waits_for, 'other track')} first; {by_now}"
        missing = doubts.spans(place + 1 for place in run.unreadable)
        notes = [
            "" if waits_for is None else by_now,
            doubts.sentence(doubts.spans(place + 1 for place in look_at), "look at pictures"),
            doubts.sentence(missing, "not read: pictures"),
            run.error.detail if run.error else "",
        ]
        return "; ".join(filter(None, notes))
