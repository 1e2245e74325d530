"""The use case of video: boxes on keyframes become a keyframe, with its mask, on every frame that follows.

Tracking runs as a job, and the request only waits for it: until it ends, or until PREDICT_BUDGET is over. So a lost
client loses nothing, the rest goes on in the background, and the next click gets what was tracked meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from time import monotonic

from label_studio_sam2.engine.frames import Video
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.video import Target
from label_studio_sam2.errors import ServiceError, Superseded
from label_studio_sam2.jobs import Job
from label_studio_sam2.labelstudio import video_regions
from label_studio_sam2.labelstudio.controls import ObjectTag
from label_studio_sam2.labelstudio.frame_map import FrameMap, editor_rate
from label_studio_sam2.labelstudio.options import Options
from label_studio_sam2.labelstudio.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.video_regions import VideoRegion
from label_studio_sam2.service import Service
from label_studio_sam2.timing import stage
from label_studio_sam2.tracking_runs import Assignment, Run
from label_studio_sam2.types import FrameMask, Prompt

log = logging.getLogger(__name__)


def track(
    regions: Sequence[Region], task: Task, tag: ObjectTag, options: Options, *, model: Model, service: Service
) -> Prediction:
    """The regions with what `model` tracked of them by the end of PREDICT_BUDGET. Raises ServiceErrors."""
    until = monotonic() + service.settings.predict_budget
    with stage("fetch"):
        file = service.media.fetch(
            tag.address(task.data), task_id=task.id if isinstance(task.id, int) else None
        )
    with stage("index"):
        video = Video.open(file.path, max_pixels=service.settings.max_image_pixels)
    plans = [Plan.of(region, video, tag) for region in video_regions.from_regions(regions)]
    assignment = Assignment(
        task.id, file.digest, model.version, {plan.region.id: plan.given for plan in plans}
    )
    run = _run(assignment, plans, options, video, model=model, service=service)
    with stage("track"):
        finished = run.wait(until)
    if run.superseded:
        raise Superseded("A newer prompt on the same region took this one's place.")
    if run.trouble is not None and not any(run.found(plan.region.id) for plan in plans):
        raise run.trouble
    answered = [plan.answer(run, options, finished=finished) for plan in plans]
    scores = [region["score"] for region in answered if "score" in region]
    return Prediction(answered, max(scores, default=None), model.version)


@dataclass(frozen=True)
class Plan:
    """What is to be done for one region: the prompts by the file's frame, and where tracking begins.

    `given` are the annotator's own prompts; `prompts` may have one more, the last mask that an earlier run left.
    `start` is None where nothing is left to do.
    """

    region: VideoRegion
    video: Video
    frames: FrameMap
    given: Mapping[int, Prompt]
    prompts: Mapping[int, Prompt]
    start: int | None

    @classmethod
    def of(cls, region: VideoRegion, video: Video, tag: ObjectTag) -> Plan:
        """From the first prompt on; from the first correction, where the region was tracked before; or from where an
        earlier answer stopped. Frames before that are neither computed again nor changed."""
        rate = editor_rate(tag.given_frame_rate, region.frames_count, region.duration, video.rate)
        frames = FrameMap(video.times, rate, region.frames_count or max(1, round(video.duration * rate)))
        drawn = region.user_keyframes(video.size) or region.keyframes[:1]
        given = {frames.source(keyframe.frame): keyframe.prompt(video.size) for keyframe in drawn}
        done = region.tracked
        if not done:
            return cls(region, video, frames, given, given, min(given))
        corrected = [keyframe.frame for keyframe in region.corrections(video.size)]
        number = min([*corrected, done.stop])
        if number > frames.count:
            return cls(region, video, frames, given, given, None)
        last = None if number in corrected else _last_mask(region, number - 1, video)
        prompts = {**given, frames.source(number - 1): last} if last else given
        return cls(region, video, frames, given, prompts, frames.source(number))

    def targets(self, options: Options) -> Iterator[tuple[str, Target]]:
        """Forward to the end, then, where the project asks for it and nothing was tracked yet, backward."""
        if self.start is None:
            return
        end = self.frames.source(self.frames.count) + 1
        yield self.region.id, Target(self.prompts, range(self.start, max(end, self.start + 1)))
        if options.backward and not self.region.tracked and self.start > 0:
            yield self.region.id, Target(self.prompts, range(self.start - 1, -1, -1))

    def answer(self, run: Run, options: Options, *, finished: bool) -> Region:
        """The region as it is now."""
        found = run.found(self.region.id)
        done = self._done(found)
        begun = f"frames {done[0]}-{done[-1]} of {self.frames.count}" if done else "tracking has begun"
        notes = [
            "" if finished else f"{begun}; click the label again for the rest",
            self.frames.disagreement(self.video.rate),
            self.video.note,
            run.trouble.detail if run.trouble else "",
        ]
        return video_regions.answer(
            self.region,
            found,
            self.frames,
            self.video.size,
            every_frame=options.masks,
            tracked=done,
            notes=notes,
        )

    def _done(self, found: Mapping[int, object]) -> range:
        """The editor's frames that are tracked by now, earlier answers included."""
        if not found:
            return self.region.tracked
        first, last = self.frames.number(min(found)), self.frames.numbers(max(found)).stop - 1
        before = self.region.tracked
        return range(min([first, *before[:1]]), max(first, last) + 1)


def _last_mask(region: VideoRegion, number: int, video: Video) -> Prompt | None:
    keyframe = next((one for one in region.keyframes if one.frame == number), None)
    return keyframe.mask_prompt(video.size) if keyframe else None


def _run(
    assignment: Assignment,
    plans: Sequence[Plan],
    options: Options,
    video: Video,
    *,
    model: Model,
    service: Service,
) -> Run:
    """The run for these plans. What it finds after its request was answered is stored as a prediction on the task."""
    passes = list(_passes(plans, options))
    total = sum(len(range(len(video))[_hull(targets)]) for targets in passes)

    def follow() -> Iterator[tuple[FrameMask, ...]]:
        track = partial(service.segmenter().track, video, assignment.digest, model=model)
        return chain.from_iterable(map(track, passes))

    def carry_out(run: Run, job: Job) -> None:
        awaited = run.carry_out(job, follow, total, with_masks=options.masks)
        if not awaited and not job.cancelled:
            _store([plan.answer(run, options, finished=True) for plan in plans], assignment, service)

    return service.runs.find_or_start(
        assignment, carry_out, f"Task {assignment.task}: {len(plans)} object{'s' * (len(plans) > 1)}"
    )


def _passes(plans: Sequence[Plan], options: Options) -> Iterator[dict[str, Target]]:
    """All objects forward at once, over shared features; then all that go backward."""
    both = [target for plan in plans for target in plan.targets(options)]
    for step in (1, -1):
        targets = {name: target for name, target in both if target.span.step == step}
        if targets:
            yield targets


def _hull(targets: Mapping[str, Target]) -> slice:
    """The frames that a pass goes through."""
    return slice(
        min(min(target.span) for target in targets.values()),
        max(max(target.span) for target in targets.values()) + 1,
    )


def _store(regions: Sequence[Region], assignment: Assignment, service: Service) -> None:
    if not service.settings.label_studio_api_key.get_secret_value() or not isinstance(assignment.task, int):
        return
    try:
        service.label_studio.create_prediction(
            assignment.task, list(regions), model_version=assignment.model_version
        )
    except ServiceError as error:  # the masklet is still there for the next click
        log.warning("the masklet of task %s could not be stored: %s", assignment.task, error.detail)
