"""The use case of words on a video: what an annotator wrote becomes a track of every object that it names.

As with boxes a job does it and the request waits until PREDICT_BUDGET is over: who adds the same words again gets what
was found meanwhile, under the same ids, and newer words of a task take the place of older ones. The words themselves
are not answered along, as those for pictures are: the editor (1.23.2) keeps them anyway, and would make of them a
region of the timeline that has no label.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.tracking_run import State, TrackingRun
from label_studio_sam2.clicks.unawaited import failing, storing
from label_studio_sam2.clicks.video_plan import Plan, waiting
from label_studio_sam2.clicks.video_search import SearchRun, Sighting, Sightings, VideoSearch
from label_studio_sam2.clicks.words import Hurry, Search, seen_on
from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import PromptError, Superseded
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.labelstudio.api.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.config.controls import TAGS, LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.regions import doubts, found_on_video, in_hand, words
from label_studio_sam2.labelstudio.regions.drawn import known_type
from label_studio_sam2.labelstudio.regions.frame_map import Counted, FrameMap
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion
from label_studio_sam2.labelstudio.regions.words import Phrase, Wanted
from label_studio_sam2.request.asker import came
from label_studio_sam2.request.timing import stage
from label_studio_sam2.task_media import VideoFile, video
from label_studio_sam2.types import Mask
from label_studio_sam2.wording import counted

log = logging.getLogger(__name__)

ADD_AGAIN = "add the words again"
"""How an annotator gets the rest."""

LATE = "LateAnswer"
"""The kind of problem that an empty answer has where words are still being looked for."""


ALONE = (
    "Words are looked for on a video alone: send its text field's item without boxes, clicks or words for other "
    "objects, and those by themselves."
)


class Asked(NamedTuple):
    """What is looked for on a task's video."""

    tag: ObjectTag
    phrases: tuple[Phrase, ...]
    config: LabelingConfig
    task: Task
    file: VideoFile

    @property
    def options(self) -> Options:
        """With which each object is followed back, too: it came before it was found."""
        return replace(self.config.options(self.tag.name), backward=True)

    @property
    def rate(self) -> float | None:
        return self.tag.frame_rate(self.task.data)

    @property
    def depends_on(self) -> tuple[Any, ...]:
        """All that what is found depends on beside the file and the model."""
        control = found_on_video.control_of(self.config, self.tag)
        named = found_on_video.labels_of(None, self.config, self.tag)
        return self.tag.name, control.name, self.phrases, named, self.options, self.rate


def meant(drawn: Sequence[Any], config: LabelingConfig) -> bool:
    """Whether an annotator wrote what to look for on a video."""
    videos = any(
        tag.kind == "Video" for tag in config.objects.values()
    )  # a click on a picture reads no words for it
    return videos and any(one.on.kind == "Video" for one in words.from_regions(drawn, config))


def find(
    drawn: Sequence[Any],
    task: Task,
    config: LabelingConfig,
    model: Model,
    context: Context,
    *,
    project: int | None,
) -> Prediction:
    """The tracks of all that was asked for, by the end of PREDICT_BUDGET. Raises ServiceErrors."""
    until = came() + context.settings.predict_budget
    wanted = words.from_regions(drawn, config)
    tag = _only_video(wanted, drawn)
    found_on_video.control_of(config, tag)
    context.words.get()  # so that who asks hears at once of a detector that isn't there
    phrases = tuple(dict.fromkeys(phrase for one in wanted for phrase in one.phrases))
    asked = Asked(tag, phrases, config, task, video(task, tag, context))
    run = context.tracking_runs.find_or_start(
        _run(asked, model, context, project), f"Task {task.id}: {counted(len(phrases), 'phrase')}"
    )
    with stage("track"):
        finished = run.wait(until)
    if run.state is State.SUPERSEDED:
        raise Superseded("Newer words took the place of these.")
    before = context.tracking_runs.before(run)
    regions = _regions(run, asked, in_hand.tracks_in(task.unsubmitted), finished=finished, before=before)
    if run.error is not None and not regions:
        raise run.error
    if not finished and not regions:
        begun = waiting(before) if before else f"{run.total} frames are being searched"
        context.problems.record(project, LATE, f"Task {task.id}: {begun}; {ADD_AGAIN} for what they find.")
    unlabelled = tuple(dict.fromkeys(phrase.lacking for phrase in phrases if phrase.lacking))
    return Prediction(regions, _score(run), model.version, unlabelled=unlabelled)


def _only_video(wanted: Sequence[Wanted], drawn: Sequence[Any]) -> ObjectTag:
    """The video that words are for. Raises PromptError where something else is asked for, too."""
    areas = (item for item in drawn if isinstance(item, dict) and known_type(item) in TAGS)
    if any(areas) or len({one.on.name for one in wanted}) > 1:
        raise PromptError(ALONE)
    return wanted[0].on


def _run(asked: Asked, model: Model, context: Context, project: int | None) -> SearchRun:
    """What looks for the words and follows what they find. Found after its request was answered, it is stored as a
    prediction on the task."""
    file, options = asked.file, asked.options
    assignment = Assignment(
        asked.task.id,
        file.digest,
        model.version,
        {},
        masks=options.masks,
        backward=True,
        frame_rates={},
        spans={},
        words=asked.depends_on,
    )
    frames = FrameMap.of(file.video, asked.rate, Counted())
    sightings = Sightings(len(file.video) - 1)
    search = VideoSearch(
        find=lambda number, frame: _seen(number, frame, asked, model, context, sightings),
        tracker=lambda span: context.segmenter().tracker(model, file.video, file.digest, span),
        frames=frames,
        numbers=_looks(frames, options.find_every),
        sightings=sightings,
        most=options.regions,
    )

    def answer(run: TrackingRun) -> Prediction:
        assert isinstance(run, SearchRun)
        return Prediction(_regions(run, asked, (), finished=True), _score(run), model.version)

    return SearchRun(
        assignment,
        search.follow,
        sightings,
        unawaited=storing(answer, asked.task, context),
        failed=failing(asked.task, project, context),
    )


def _looks(frames: FrameMap, every: float) -> list[int]:
    """The editor's frames that words are looked for on: of each of the file's frames the first that shows it."""
    step = max(1.0, every * frames.rate)
    several = range(int((frames.count - 1) / step) + 1) if every else range(1)
    sources = dict.fromkeys(frames.source(1 + round(number * step)) for number in several)
    return [frames.number(source) for source in sources]


def _seen(  # noqa: PLR0917  each is what a look needs
    number: int, frame: int, asked: Asked, model: Model, context: Context, sightings: Sightings
) -> Iterator[tuple[Mask, Plan]]:
    """What the words name on a frame, the best rated first."""
    hurry = Hurry(Turn(Priority.VIDEO_FRAME), sightings.before_each_turn)
    size, options = asked.file.video.size, replace(asked.options, zoom="false")
    sought = Search((asked.tag, None), asked.phrases)
    for seen in seen_on(asked.file.picture(frame), sought, options, model, context, hurry):
        box = tight_box(seen.mask.bitmap)
        if box is not None:
            name = repr((seen.name, [round(edge, 1) for edge in seen.box]))
            region = found_on_video.region(box, size, number, asked.config, asked.tag, seen.label, name)
            yield seen.mask, Plan.of(region, asked.file.video, asked.rate, options)


def _regions(
    run: SearchRun, asked: Asked, beside: Sequence[VideoRegion], *, finished: bool, before: int = 0
) -> list[Region]:
    """What is there of each object by now; none of one that was never in sight, or that the annotator has in hand."""
    size = asked.file.video.size
    followed = [
        one
        for one in run.sightings.found
        if (not finished or any(run.found(one.name).values()))
        and not in_hand.keeps(beside, one.plan.region, size)
    ]
    return [
        one.plan.region_now(run, finished=finished, before=before, again=ADD_AGAIN)
        | {"score": round(one.score, 4)}
        for one in followed
    ]


def _score(run: SearchRun) -> float | None:
    """Of the object that is trusted least: as what the words name, and as a track."""
    return min((one.score * _trust(run, one) for one in run.sightings.found), default=None)


def _trust(run: SearchRun, one: Sighting) -> float:
    trust = doubts.trust(run.signals(one.name))
    return 1.0 if trust is None else trust
