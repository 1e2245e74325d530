"""The use case of video: boxes on keyframes become a keyframe, with its mask, on every frame that follows.

Tracking runs as a job, and the request only waits for it: until it ends, or until PREDICT_BUDGET is over. So a lost
client loses nothing, the rest goes on in the background, and the next click gets what was tracked meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.tracking_run import State, TrackingRun
from label_studio_sam2.clicks.unawaited import failing, storing
from label_studio_sam2.clicks.video_plan import Plan, passes
from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.video.targets import span_of
from label_studio_sam2.errors import Superseded
from label_studio_sam2.labelstudio.api.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.regions import doubts, video_regions
from label_studio_sam2.request.asker import came
from label_studio_sam2.request.timing import stage
from label_studio_sam2.task_media import VideoFile, video
from label_studio_sam2.types import FrameMask
from label_studio_sam2.wording import counted

VIDEO = "videorectangle"
"""The type of the regions that a video is prompted with."""


def meant(drawn: Sequence[Region], config: LabelingConfig) -> bool:
    """Whether an annotator drew on a video."""
    return _video_tag(config) is not None and any(map(is_video, drawn))


def is_video(region: Region) -> bool:
    return region.get("type") == VIDEO


def track(
    drawn: Sequence[Region],
    task: Task,
    config: LabelingConfig,
    model: Model,
    context: Context,
    *,
    project: int | None = None,
) -> Prediction:
    """The regions with what `model` tracked of them by the end of PREDICT_BUDGET. Raises ServiceErrors.

    A track that fails on its way is a problem of the project's, whether or not somebody waits for it by then.
    """
    until = came() + context.settings.predict_budget
    tag = _video_tag(config)
    assert tag is not None
    file = video(task, tag, context)
    options = config.options(tag.name)
    rate = tag.frame_rate(task.data)
    plans = [Plan.of(region, file.video, rate, options) for region in video_regions.from_regions(drawn)]
    followed = _followed(plans, task, context)
    run = context.tracking_runs.find_or_start(
        _run(followed, task, file, model, context, project=project),
        f"Task {task.id}: {counted(len(followed), 'object')}",
    )
    with stage("track"):
        finished = run.wait(until)
    before = context.tracking_runs.before(run)
    if run.state is State.SUPERSEDED:
        raise Superseded("A newer prompt on the same region took this one's place.")
    if run.error is not None and not any(run.found(plan.region.id) for plan in plans):
        raise run.error
    answered = [
        plan.region_now(run, finished=finished and (plan in followed or not plan.left), before=before)
        for plan in plans
    ]
    return Prediction(answered, _score(run, plans), model.version)


def _score(run: TrackingRun, plans: Sequence[Plan]) -> float | None:
    """Of the track that is trusted least, so that the Data Manager brings up what is to be looked at first."""
    trusted = (doubts.trust(run.signals(plan.region.id)) for plan in plans)
    return min((trust for trust in trusted if trust is not None), default=None)


def _followed(plans: Sequence[Plan], task: Task, context: Context) -> Sequence[Plan]:
    """All; but where the annotator corrects some, the request holds the others only because they have the same label:
    what is there of them stays as it is, unless they are being followed anyway."""
    if not any(plan.corrected for plan in plans):
        return plans
    others = [plan.region.id for plan in plans if plan.goes_on]
    under_way = context.tracking_runs.under_way(task.id, others)
    return [plan for plan in plans if not plan.goes_on or plan.region.id in under_way]


def _run(
    plans: Sequence[Plan],
    task: Task,
    file: VideoFile,
    model: Model,
    context: Context,
    *,
    project: int | None,
) -> TrackingRun:
    """What carries these plans out. Found after its request was answered, it is stored as a prediction on the task."""
    assignment = Assignment(
        task.id,
        file.digest,
        model.version,
        {plan.region.id: plan.given for plan in plans},
        masks=all(plan.options.masks for plan in plans),
        backward=any(plan.options.backward for plan in plans),
        frame_rates={plan.region.id: (plan.frames.rate, plan.frames.count) for plan in plans},
        spans={plan.region.id: tuple(plan.lifespan.spans) for plan in plans},
    )
    targets = list(passes(plans))

    def follow() -> Iterator[tuple[FrameMask, ...]]:
        for each in targets:
            yield from context.segmenter().track(model, file.video, file.digest, each)

    def answer(run: TrackingRun) -> Prediction:
        regions = [plan.region_now(run, finished=True) for plan in plans]
        return Prediction(regions, _score(run, plans), model.version)

    return TrackingRun(
        assignment,
        follow,
        sum(len(span_of(each)) for each in targets),
        unawaited=storing(answer, task, context),
        failed=failing(task, project, context),
    )


def _video_tag(config: LabelingConfig) -> ObjectTag | None:
    return next((tag for tag in config.objects.values() if tag.kind == "Video"), None)
