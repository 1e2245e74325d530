"""A detector is opened by the first who asks for words: most projects never do, and it takes memory and a download."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Lock, Thread
from typing import Generic, TypeVar

from label_studio_sam2.engine import device
from label_studio_sam2.engine.words.detector import Detector
from label_studio_sam2.engine.words.owlv2 import load
from label_studio_sam2.errors import NotReady
from label_studio_sam2.outgoing.ways import Outgoing
from label_studio_sam2.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""Who asks first waits this long: enough to load what is on the disk. Label Studio shows annotators nothing of an
error, so a late answer is better than a quick refusal."""

MEANWHILE_SECONDS = 1.0
"""Between two looks whether who waits for as long as it takes still has to."""

LOGGED_EVERY = 100 << 20
"""Bytes of a download between two lines of the log."""

Tell = Callable[[str], None]
"""Is told in a few words how far the opening is."""


def open_detector(settings: Settings, tell: Tell = lambda _: None) -> Detector:
    """Loads the detector that the settings name; what isn't there is downloaded. Raises CheckpointError."""
    chosen = device.choose(settings.device)
    logged = 0

    def progress(done: int, total: int) -> None:
        nonlocal logged
        tell(f"{done / 1e6:.0f} of {total / 1e6:.0f} MB are here")
        if done - logged >= LOGGED_EVERY or done == total:
            logged = done
            log.info("%s: %.0f of %.0f MB", settings.detector_name, done / 1e6, total / 1e6)

    dtype = device.encoder_dtype(chosen)
    return load(
        settings.detector_name,
        settings.model_cache,
        chosen,
        progress,
        encoder_dtype=dtype,
        outgoing=Outgoing.of(settings),
    )


class OnDemand(Generic[T]):
    """What the first who asks for it opens, in the background. Safe to use from any thread."""

    def __init__(self, open_one: Callable[[Tell], T], what: str, patience: float = PATIENCE_SECONDS) -> None:
        """`what` begins the sentence that says that it isn't open yet; `open_one` may tell how far it is."""
        self._told = ""
        self._open = open_one
        self._what = what
        self._patience = patience
        self._opening: Future[T] | None = None
        self._lock = Lock()

    @property
    def opened(self) -> T | None:
        """What is open, without opening it."""
        opening = self._opening
        return opening.result() if opening and opening.done() and not opening.exception() else None

    @property
    def state(self) -> str:
        """In a few words."""
        opening = self._opening
        if opening is None:
            return "not asked for yet"
        if not opening.done():
            return f"loading: {self._told}" if self._told else "loading"
        return "open" if opening.exception() is None else "could not be opened"

    def get(self, meanwhile: Callable[[], None] | None = None) -> T:
        """What is open, waited for as long as patience lasts; or, for a job, as long as it takes, while `meanwhile`,
        which may raise to break off, is called now and then. Raises NotReady where patience ends, and what kept it from
        being opened; the next to ask then tries again."""
        with self._lock:
            opening = self._opening
            if opening is None or (opening.done() and opening.exception() is not None):
                opening = self._opening = Future()
                Thread(target=self._run, args=(opening,), name="opening on demand", daemon=True).start()
        while not wait([opening], self._patience if meanwhile is None else MEANWHILE_SECONDS).done:
            if meanwhile is None:
                told = f" ({self._told})" if self._told else ""
                raise NotReady(f"{self._what} is still loading{told}. Try again in a few seconds.")
            meanwhile()
        return opening.result()

    def _tell(self, told: str) -> None:
        self._told = told

    def _run(self, opening: Future[T]) -> None:
        try:
            opened = self._open(self._tell)
        except BaseException as error:  # noqa: BLE001  it belongs to whoever asked
            log.error("%s can't be opened: %s", self._what, error)
            with suppress(Exception):
                opening.set_exception(error)
        else:
            log.info("ready: %s", self._what)
            opening.set_result(opened)
