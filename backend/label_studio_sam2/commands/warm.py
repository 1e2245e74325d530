"""`warm`: the running service encodes a project's pictures ahead."""

from __future__ import annotations

from rich.console import Console

from label_studio_sam2.commands.following import follow
from label_studio_sam2.settings import Settings


def run(settings: Settings, project: int, address: str | None) -> int:
    """Prints what became of the tasks; the exit code is 1 where some failed or were left."""
    job = follow(settings, address, {"kind": "warm", "project": project})
    return report(job)


def report(job: dict[str, object]) -> int:
    """One line: how many tasks had which outcome."""
    result = job["result"] if isinstance(job["result"], dict) else {}
    counts = {word: number for word, number in result.items() if word != "reasons"}
    said = ", ".join(f"{number} {word}" for word, number in counts.items()) or "nothing to do"
    Console(highlight=False, soft_wrap=True).print(f"{job['title']}: {said}.")
    return int(job["state"] != "done" or bool(counts.get("failed")))
