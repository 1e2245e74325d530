"""The use case: what annotators accepted in a project becomes a tuned version of the model, if it is better."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

from label_studio_sam2 import generality, report
from label_studio_sam2.engine.measuring import KINDS, Example, answers, measure, one_click
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning import Tuned, tune
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.gate import IoUs, judge
from label_studio_sam2.jobs import Job
from label_studio_sam2.labelstudio import labeling_config
from label_studio_sam2.labelstudio.protocol import WebhookEvent
from label_studio_sam2.service import Service
from label_studio_sam2.training_set import TooLittle, TrainingSet, collect

log = logging.getLogger(__name__)

KIND = "fit"
START = "START_TRAINING"
COUNTED = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})

SHOTS = 6


def webhook(event: WebhookEvent, service: Service) -> dict[str, Any]:
    """Takes an event at once; what it asks for is done by a job. Storms of events end in one job."""
    answer: dict[str, Any] = {"status": "accepted", "action": event.action}
    project = event.project_id
    if project is not None and (
        event.action == START or (event.action in COUNTED and _due(event, project, service))
    ):
        answer["job"] = submit(project, service).id
    return answer


def submit(project: int, service: Service) -> Job:
    """The job that tunes the project; the same one as long as it waits or runs."""
    return service.jobs.submit(
        KIND, (KIND, project), lambda job: fit(project, service, job), title=f"Project {project}"
    )


def fit(project: int, service: Service, job: Job) -> dict[str, Any]:
    """Collects, tunes, measures, and uses what is better. Answers what came of it and why, ready for JSON.

    Raises LabelStudioError where the project can't be read, Busy where another process is tuning it, and
    CancelledError.
    """
    begun = monotonic()
    with service.tuned.training(project):
        found = collect(project, service, job, begun + service.fit_limits.collecting)
        service.fitted[project] = found.annotations
        try:
            found.require()
        except TooLittle as error:
            return {"project": project, "version": None, "used": False, "reason": str(error)}
        tuned = _tuned(service, job, found, begun + service.fit_limits.seconds)
        job.progress(tuned.steps, tuned.steps, "steps", "Measuring the new version")
        return _judged(project, service, job, found, tuned)


def _tuned(service: Service, job: Job, found: TrainingSet, deadline: float) -> Tuned:
    segmenter, steps = service.segmenter(), service.fit_limits.steps

    def going(step: int, message: str) -> None:
        job.go_on()
        job.progress(step, steps, "steps", f"Tuning {message}".strip())

    return tune(
        segmenter,
        found.examples["training"],
        found.examples["checking"] or found.examples["training"],
        generality.examples("rehearsal", segmenter.model.image_size),
        deadline=deadline,
        most_steps=steps,
        report=going,
    )


def _judged(project: int, service: Service, job: Job, found: TrainingSet, tuned: Tuned) -> dict[str, Any]:
    """Measures what was tuned against what is in use, keeps it with its report, and uses it where the gate lets it
    pass."""
    segmenter, live = service.segmenter(), service.model(project)
    base, held_out = segmenter.model, found.examples["held out"]

    def measured(model: Model, examples: Sequence[Example]) -> IoUs:
        job.go_on()
        return measure(segmenter, model, examples)

    most = service.fit_limits.scenes
    choosing = generality.examples("choosing", base.image_size, most)
    judging = generality.examples("judging", base.image_size, most)
    new = generality.bearable(base, tuned.decoder, choosing, measured)
    before, after = (measured(model, held_out) for model in (live, new))
    groups = [example.group for example in held_out]
    verdict = judge(list(KINDS), groups, before, after, generality.lost(base, new, judging, measured))
    counts = found.counts() | {"steps": tuned.step, "steps_tried": tuned.steps}
    version = service.tuned.save(project, base, new.decoder, verdict, counts)
    title = f"Project {project}, version {version.number}"
    shots = list(_shots(segmenter, (live, new), held_out[:SHOTS]))
    service.tuned.add_report(version, report.page(title, verdict.reason, verdict.figures, counts, shots))
    if verdict.accepted:
        service.tuned.use(project, version.number)
    log.info("%s: %s", title, verdict.reason)
    return {
        "project": project,
        "version": version.name,
        "used": verdict.accepted,
        "reason": verdict.reason,
        "figures": verdict.figures,
        "counts": counts,
        "report": f"/reports/{project}/{version.number}",
    }


def _shots(
    segmenter: Segmenter, models: tuple[Model, Model], examples: Sequence[Example]
) -> Iterator[report.Shot]:
    before, after = (answers(segmenter, model, examples, (one_click,)) for model in models)
    for example, (was,), (now,) in zip(examples, before, after, strict=True):
        yield report.Shot(example.picture.load(), example.mask.bitmap(), was, now)


def _due(event: WebhookEvent, project: int, service: Service) -> bool:
    """Whether the project asks to be tuned every so many annotations, and so many were submitted since."""
    content = event.project if isinstance(event.project, dict) else {}
    try:
        config = labeling_config.parse(content.get("label_config"))
    except ServiceError:
        return False
    every = config.options(config.object().name).fit_every
    total = content.get("total_annotations_number")
    if not every or not isinstance(total, int):
        return False
    return total - service.annotations_at_last_fit(project) >= every
