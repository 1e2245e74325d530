"""The use case: what annotators accepted in a project becomes a tuned version of the model, if it is better."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, TypeVar

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning.measuring import KINDS, Example, IoUs, masks_answered, measure, one_click
from label_studio_sam2.engine.tuning.tune import Tuned, tune
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.labelstudio.api.protocol import WebhookEvent
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.learning import forgetting, report
from label_studio_sam2.learning.gate import judge
from label_studio_sam2.learning.training_set import TooLittle, TrainingSet, collect

log = logging.getLogger(__name__)

T = TypeVar("T")

KIND = "fit"
START = "START_TRAINING"
COUNTED = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})

FIT_EVERY = "model_fit_every"
"""The option that asks for tuning without Start Training."""

SHOTS = 6

NOT_CONNECTED = "The event names a project that isn't connected to this service."


def webhook(event: WebhookEvent, context: Context) -> dict[str, Any]:
    """Takes an event at once; what it asks for is done by a job. Storms of events end in one job.

    Whoever sends START with a password is believed; without one, and for annotation events, Label Studio is asked
    whether the project is connected to this service. What annotators have submitted is looked up in Label Studio: those
    events carry no password, so that anybody may send them.
    """
    answer: dict[str, Any] = {"status": "accepted", "action": event.action}
    if _counted(event):
        context.events.note(event.project_id, lambda: begun(event, context))
    elif (job := begun(event, context)) is not None:
        answer["job"] = job.id
    return answer


def begun(event: WebhookEvent, context: Context) -> Job | None:
    """The job that an event asks for, if any; Label Studio is waited for where it has to be asked."""
    project = event.project_id
    if project is None:
        return None
    if _counted(event):
        return _submit_if_due(project, context)
    if event.action != START:
        return None
    return submit(project, context, believed=bool(context.settings.basic_auth_user))


def _counted(event: WebhookEvent) -> bool:
    """Whether the event may make its project due: an annotation was saved where tuning is asked for at all."""
    return event.action in COUNTED and event.project_id is not None and FIT_EVERY in str(event.label_config)


def _submit_if_due(project: int, context: Context) -> Job | None:
    """The job that tunes the project, where it asks to be tuned every so many annotations, and so many were submitted
    since: by Label Studio's own word."""
    try:
        content = context.label_studio.project(project)
        config = labeling_config.parse(content.get("label_config"))
        every = config.options(config.object().name).fit_every
        total = int(content.get("total_annotations_number") or 0)
        if every and total - _annotations_at_last_fit(project, context) >= every:
            return submit(project, context, believed=False)
    except ServiceError as error:
        log.warning("whether project %s is to be tuned can't be told: %s", project, error.detail)
    return None


def submit(project: int, context: Context, *, believed: bool = True) -> Job:
    """The job that tunes the project; the same one as long as it waits or runs. Where who asks isn't `believed`, it
    first looks whether the project is connected to this service."""

    def work(job: Job) -> dict[str, Any]:
        if believed or connected(project, context):
            return fit(project, context, job)
        return _left(project, f"{NOT_CONNECTED} Run `label-studio-sam2 connect --project {project}`.")

    return context.jobs.submit(KIND, (KIND, project), work, title=f"Project {project}")


def connected(project: int, context: Context) -> bool:
    """Whether Label Studio has this service, or another replica, among the project's ML backends: before it lists them,
    it calls each one's /setup and notes the model_version that it answers. Raises LabelStudioError."""
    backends = context.label_studio.ml_backends(project)
    return context.model_version(project) in {backend.get("model_version") for backend in backends}


def _left(project: int, reason: str) -> dict[str, Any]:
    """What comes of a run that tuned nothing."""
    return {"project": project, "version": None, "used": False, "reason": reason}


def fit(project: int, context: Context, job: Job) -> dict[str, Any]:
    """Collects, tunes, measures, and uses what is better. Answers what came of it and why, ready for JSON.

    Raises LabelStudioError where the project can't be read, Busy where another process is tuning it, and
    CancelledError.
    """
    begun = monotonic()
    with context.tuned.training(project):
        found = collect(project, context, job, begun + context.fit_limits.collecting)
        context.fitted[project] = found.annotations
        try:
            found.require()
        except TooLittle as error:
            return _left(project, str(error))
        tuned = _tuned(context, job, found, begun + context.fit_limits.seconds)
        job.progress(tuned.steps, tuned.steps, "steps", "Measuring the new version")
        return _judged(project, context, job, found, tuned)


def _tuned(context: Context, job: Job, found: TrainingSet, deadline: float) -> Tuned:
    segmenter, steps = context.segmenter(), context.fit_limits.steps

    def going(step: int, message: str) -> None:
        job.go_on()
        job.progress(step, steps, "steps", f"Tuning {message}".strip())

    return tune(
        segmenter,
        found.examples["training"],
        found.examples["checking"] or found.examples["training"],
        forgetting.examples("rehearsal", segmenter.model.image_size),
        deadline=deadline,
        most_steps=steps,
        report=going,
    )


def _judged(project: int, context: Context, job: Job, found: TrainingSet, tuned: Tuned) -> dict[str, Any]:
    """Measures what was tuned against what is in use, keeps it with its report, and uses it where the gate lets it
    pass."""
    segmenter, live = context.segmenter(), context.model(project)
    base, held_out = segmenter.model, found.examples["held out"]

    def measured(model: Model, examples: Sequence[Example]) -> IoUs:
        return measure(segmenter, model, examples, go_on=job.go_on)

    def on_device(work: Callable[[], T]) -> T:
        return segmenter.lane.run(Turn(Priority.TUNING), work, grad=True)

    most = context.fit_limits.scenes
    choosing = forgetting.examples("choosing", base.image_size, most)
    judging = forgetting.examples("judging", base.image_size, most)
    new = forgetting.bearable(base, tuned.decoder, choosing, measured, on_device)
    before, after = (measured(model, held_out) for model in (live, new))
    groups = [example.group for example in held_out]
    verdict = judge(list(KINDS), groups, before, after, forgetting.lost(base, new, judging, measured))
    counts = found.counts() | {"steps": tuned.step, "steps_tried": tuned.steps}
    version = context.tuned.save(project, base, new.decoder, verdict, counts, on_device=on_device)
    title = f"Project {project}, version {version.number}"
    shots = list(_shots(segmenter, (live, new), held_out[:SHOTS]))
    context.tuned.add_report(version, report.page(title, verdict.reason, verdict.figures, counts, shots))
    if verdict.accepted:
        context.tuned.use(project, version.number)
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
    before, after = (masks_answered(segmenter, model, examples, (one_click,)) for model in models)
    for example, (was,), (now,) in zip(examples, before, after, strict=True):
        yield report.Shot(example.picture.load(), example.mask.bitmap(), was, now)


def _annotations_at_last_fit(project: int, context: Context) -> int:
    """How many annotations the project had when it was tuned last; 0 where it never was."""
    if project not in context.fitted:
        last = context.tuned.latest(project)
        context.fitted[project] = last.counts.get("annotations", 0) if last else 0
    return context.fitted[project]
