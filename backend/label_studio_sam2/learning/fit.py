"""The use case: what annotators accepted in a project becomes a tuned version of the model, if it is better."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from torch import nn

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning import prompting
from label_studio_sam2.engine.tuning.measuring import Example, IoUs, masks_answered, measure, one_click
from label_studio_sam2.engine.tuning.tune import Tuned, tune
from label_studio_sam2.engine.tuning.version import Version
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.learning import elsewhere, forgetting, per_label, report
from label_studio_sam2.learning.accepted_masks import collect
from label_studio_sam2.learning.curve import Mark
from label_studio_sam2.learning.gate import Limits, judge
from label_studio_sam2.learning.judging import Judging
from label_studio_sam2.learning.training_set import TooLittle, TrainingSet
from label_studio_sam2.settings import DEMO

log = logging.getLogger(__name__)

SHOTS = 6


def left(project: int, reason: str) -> dict[str, Any]:
    """What comes of a run that tuned nothing."""
    return {"project": project, "version": None, "used": False, "reason": reason}


def connected(project: int, context: Context) -> bool:
    """Whether Label Studio has this service, or another replica, among the project's ML backends: before it lists them,
    it calls each one's /setup and notes the model_version that it answers. Raises LabelStudioError."""
    backends = context.label_studio.ml_backends(project)
    return context.model_version(project) in {backend.get("model_version") for backend in backends}


def fit(project: int, context: Context, job: Job) -> dict[str, Any]:
    """Collects, tunes, measures, and uses what is better. Answers what came of it and why, ready for JSON.

    Raises LabelStudioError where the project can't be read, Busy where another process is tuning it, and
    CancelledError.
    """
    begun, limits = monotonic(), context.fit_limits
    with context.tuned.training(project):
        found = collect(project, context, job, begun + limits.collecting)
        context.tuned.note_try(project, found.annotations)
        try:
            found.require()
        except TooLittle as error:
            return left(project, str(error))
        others = elsewhere.other_pictures(project, context, lambda other: _reads(other, context))
        elsewhere.search(found, others, context, job, monotonic() + limits.searching)
        tuning = Tuning(context, job, found)
        common = tuning.common(begun + limits.seconds)
        own = tuning.own(common.decoder)
        job.progress(common.steps, common.steps, "steps", "Measuring the new version")
        return _judged(project, tuning, common, own)


def _reads(project: int, context: Context) -> bool:
    """Whether another project is this service's too; where that can't be told, it isn't."""
    try:
        return connected(project, context)
    except ServiceError:
        return False


@dataclass(frozen=True)
class Tuning:
    """One run's: what it works for and with."""

    context: Context
    job: Job
    found: TrainingSet

    @property
    def segmenter(self) -> Segmenter:
        return self.context.segmenter()

    def common(self, deadline: float) -> Tuned:
        """A decoder for all labels."""
        examples = self.found.examples
        return self._tuned(examples["training"], examples["checking"] or examples["training"], deadline, "")

    def own(self, common: nn.Module) -> Mapping[str, nn.Module]:
        """Those of labels that are better off with one of their own."""

        def tune_one(training: Sequence[Example], checking: Sequence[Example], among: int) -> nn.Module:
            deadline = monotonic() + self.context.fit_limits.labels / among
            return self._tuned(training, checking, deadline, f'"{training[0].label}" by itself').decoder

        def asked(model: Model, examples: Sequence[Example]) -> IoUs:
            return measure(self.segmenter, model, examples, (one_click,), self.go_on)

        model = self.segmenter.model.tuned(common, "candidate")
        return per_label.own_decoders(self.found, model, tune_one, asked)

    def go_on(self) -> bool:
        self.job.go_on()
        return True

    def _tuned(
        self, training: Sequence[Example], checking: Sequence[Example], deadline: float, of: str
    ) -> Tuned:
        segmenter, steps = self.segmenter, self.context.fit_limits.steps
        drawn = segmenter.model.name == DEMO
        scenes = forgetting.examples("rehearsal", segmenter.model.image_size) if drawn else []

        def going(step: int, message: str) -> None:
            self.job.go_on()
            self.job.progress(step, steps, "steps", " ".join(filter(None, ("Tuning", of, message))))

        return tune(
            segmenter,
            training,
            checking,
            [*self.found.elsewhere["training"], *scenes],
            self.found.rejected,
            deadline=deadline,
            most_steps=steps,
            report=going,
        )


def _judged(project: int, tuning: Tuning, common: Tuned, own: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Measures what was tuned against what is in use, keeps it with its report, and uses it where the gate lets it
    pass."""
    context, segmenter, found = tuning.context, tuning.segmenter, tuning.found
    live, allowed, limits = context.model(project), context.fit_limits, _limits(project, context)
    held_out = found.examples["held out"]
    judging = Judging(
        segmenter, held_out, found.elsewhere, limits, tuning.go_on, allowed.measuring, allowed.scenes
    )
    new = judging.moved(common.decoder, own)
    number = context.tuned.next(project)
    verdict = judge(judging.measured(live, new), limits, f"label-studio-sam2 versions use {project} {number}")
    counts = found.counts() | {"own_decoders": len(own), "steps": common.step, "steps_tried": common.steps}
    version = context.tuned.save(
        project,
        segmenter.model,
        new.decoder,
        verdict,
        counts,
        by_label={label: part.decoder for label, part in new.labelled.items()},
        on_device=judging.on_device,
    )
    subject = report.Subject(
        f"Project {project}, version {number}", live.version, list(_marks(context.tuned.all(project)))
    )
    shots = list(_shots(segmenter, (live, new), held_out[:SHOTS]))
    context.tuned.add_report(version, report.page(subject, verdict, counts, shots))
    if verdict.accepted:
        context.tuned.use(project, number)
    log.info("%s: %s", subject.title, verdict.reason)
    return {
        "project": project,
        "version": version.name,
        "number": number,
        "used": verdict.accepted,
        "reason": verdict.reason,
        "figures": verdict.figures,
        "counts": counts,
        "labels": list(own),
        "report": f"/reports/{project}/{number}",
    }


def _limits(project: int, context: Context) -> Limits:
    config = labeling_config.parse(context.label_studio.project(project).get("label_config"))
    return Limits.of(config.options(config.object().name))


def _shots(
    segmenter: Segmenter, models: tuple[Model, Model], examples: Sequence[Example]
) -> Iterator[report.Shot]:
    before, after = (masks_answered(segmenter, model, examples, (one_click,)) for model in models)
    for example, (was,), (now,) in zip(examples, before, after, strict=True):
        mask = example.mask.bitmap()
        yield report.Shot(example.picture.load(), mask, was, now, prompting.click(mask))


def _marks(versions: Sequence[Version]) -> Iterator[Mark]:
    for version in versions:
        if click := version.figures.get("held_out", {}).get("one click"):
            yield Mark(version.number, click["before"], click["after"], version.accepted)
