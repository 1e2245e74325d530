"""What is to be done for one region of a video, and how it is answered: where its track begins, and where it stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from label_studio_sam2.background.tracking_run import TrackedFrames, TrackingRun
from label_studio_sam2.engine.video.targets import Target, Targets
from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.api.protocol import Region
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.regions import video_regions
from label_studio_sam2.labelstudio.regions.doubts import doubtful
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.labelstudio.regions.lifespan import Lifespan
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Prompt
from label_studio_sam2.wording import counted

CLICK_AGAIN = "click its label off and on again"
"""How an annotator gets the rest of a track."""


@dataclass(frozen=True)
class Plan:
    """The prompts by the file's frame, and what is left to follow.

    `lifespan` says which of the editor's frames the object is on at most. `given` are the annotator's own prompts;
    `prompts` may have one more, the last mask that an earlier run left. `left` are the spans of the editor's frames
    that are still to be followed, rising.
    """

    region: VideoRegion
    video: Video
    frames: FrameMap
    options: Options
    lifespan: Lifespan
    given: Mapping[int, Prompt]
    prompts: Mapping[int, Prompt]
    left: Sequence[range]
    corrected: bool

    @classmethod
    def of(cls, region: VideoRegion, video: Video, rate: float | None, options: Options) -> Plan:
        """From the first prompt on; from the first correction, where the region was tracked before; or from where an
        earlier answer stopped. Frames before that are neither computed again nor changed. `rate` is the Video tag's.
        Raises PromptError, which names the region."""
        try:
            frames = FrameMap.of(video, rate, region.counted)
        except PromptError as error:
            raise PromptError(f'Region "{region.id}": {error.detail}') from error
        drawn = region.user_keyframes(video.size) or region.keyframes[:1]
        given = {frames.source(keyframe.frame): keyframe.prompt(video.size) for keyframe in drawn}
        lifespan = region.lifespan(video.size, frames.count, options.frames or None)
        corrected = [keyframe.frame for keyframe in region.corrections(video.size)]
        done = region.tracked
        begin = min([*corrected, done.stop]) if done else 1
        left = [range(max(span.start, begin), span.stop) for span in lifespan.spans if span.stop > begin]
        prompts = given
        if done and left and left[0].start == begin and begin not in corrected:
            last = region.mask_prompt(begin - 1, video.size)
            prompts = {**given, frames.source(begin - 1): last} if last else given
        return cls(region, video, frames, options, lifespan, given, prompts, left, bool(done and corrected))

    @property
    def goes_on(self) -> bool:
        """Whether it would only be followed further, with nothing new drawn on what was tracked."""
        return bool(self.region.tracked) and not self.corrected

    def targets(self) -> Iterator[tuple[str, Target]]:
        """Forward, a span after the other; then backward, where the project asks for it and nothing was tracked."""
        for span in self.left:
            yield self.region.id, Target(self.prompts, self._in_file(span))
        if self.options.backward and not self.region.tracked:
            back = self._in_file(self.lifespan.before)
            first = min(self.given)
            yield self.region.id, Target(self.prompts, range(min(back.start, first - 1), back.stop, -1))

    def _in_file(self, span: range) -> range:
        """The file's frames that some of the editor's, in a row, show."""
        if not span:
            return range(0)
        return range(self.frames.source(span[0]), self.frames.source(span[-1]) + span.step, span.step)

    def region_now(
        self, run: TrackingRun, *, finished: bool, before: int = 0, again: str = CLICK_AGAIN
    ) -> Region:
        """The region with what is tracked of it by now; `before`: how many other tracks go first, `again`: how to ask
        for the rest."""
        found, signals = run.found(self.region.id), run.signals(self.region.id)
        done = self._done(found)
        begun = f"frames {done[0]}-{done[-1]} of {self.frames.count}" if done else "tracking has begun"
        if before:
            begun = waiting(before)
        notes = [
            "" if finished else f"{begun}; {again} for the rest",
            self._cut_short() if finished else "",
            self.frames.disagreement(self.video.rate),
            self.frames.note,
            self.video.note,
            run.error.detail if run.error else "",
        ]
        return video_regions.with_tracked(
            self.region,
            found,
            self.frames,
            self.video.size,
            self.lifespan,
            every_frame=self.options.masks,
            tracked=done,
            look_at={n for source in doubtful(signals) for n in self.frames.keyframes(source)},
            notes=notes,
        )

    def _cut_short(self) -> str:
        if not self.lifespan.cut_short:
            return ""
        return (
            f"followed to frame {self.lifespan.spans[-1][-1]}, {counted(self.options.frames, 'frame')} from where it "
            "was drawn, as model_frames says; draw its box on a later frame to go on from there"
        )

    def _done(self, found: TrackedFrames) -> range:
        """The editor's frames that are tracked by now, earlier answers included, as far as the object lives."""
        earlier, stop = self.region.tracked, self.lifespan.stop
        if not found:
            return range(earlier.start, min(earlier.stop, stop))
        first, last = self.frames.number(min(found)), self.frames.numbers(max(found)).stop - 1
        end = max(first, last) + 1 if self.corrected else max(first + 1, last + 1, earlier.stop)
        return range(min([first, *earlier[:1]]), min(end, stop))


def waiting(before: int) -> str:
    """That so many other tracks go first."""
    return f"{before} track{'s are' if before > 1 else ' is'} before yours"


def passes(plans: Sequence[Plan]) -> Iterator[Targets]:
    """All objects forward at once, over shared features, those with several spans again; then all that go backward."""
    for step in (1, -1):
        waiting = [(name, target) for plan in plans for name, target in plan.targets()]
        waiting = [(name, target) for name, target in waiting if target.span and target.span.step == step]
        while waiting:
            targets: dict[str, Target] = {}
            later = []
            for name, target in waiting:
                if targets.setdefault(name, target) is not target:
                    later.append((name, target))
            yield targets
            waiting = later
