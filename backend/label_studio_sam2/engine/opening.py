"""Opens the engine in the background: the service answers from its first second, the device when it is ready."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

from label_studio_sam2.engine import device
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.cache.redis_store import RedisStore
from label_studio_sam2.engine.checkpoints import Progress
from label_studio_sam2.engine.compiling import compiled
from label_studio_sam2.engine.image.click_memory import prepared_bytes
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import load
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.errors import NotReady, ServiceError, WrongModel
from label_studio_sam2.outgoing.ways import Outgoing
from label_studio_sam2.settings import Settings, keep_compiled_code_in

log = logging.getLogger(__name__)

RETRY_SECONDS = 30


def open_segmenter(settings: Settings, progress: Progress | None = None) -> Segmenter:
    """Loads the model that the settings name and answers one click with it, so that the first real one isn't slow.

    Raises CheckpointError, NotReady where there is no such device, and what the device raises; nothing stays open then.
    """
    chosen = device.choose(settings.device)
    dtype = device.encoder_dtype(chosen)
    outgoing = Outgoing.of(settings)
    model = load(
        settings.model, settings.model_cache, chosen, progress, encoder_dtype=dtype, outgoing=outgoing
    )
    if settings.compile:
        keep_compiled_code_in(settings.model_cache / "compiled")
        model = compiled(model)
    store = (
        RedisStore(settings.redis_url, settings.embedding_ttl, outgoing.authorities)
        if settings.redis_url
        else None
    )
    segmenter = Segmenter(
        model,
        EmbeddingCache(settings.memory_cache_mb << 20, store),
        Lane(decodes_apart=chosen.type != "mps"),  # Metal's queue takes one thread at a time
        prepared_bytes=prepared_bytes(chosen),
    )
    try:
        segmenter.warm_up()
    except BaseException:
        segmenter.close()
        raise
    return segmenter


class Opening:
    """A segmenter that is being opened, is open, or could not be opened and why.

    What may mend itself is tried again: a download, a file that isn't whole yet, a device that is busy. What can never
    be loaded is told to `hopeless`, once, and the reason kept.
    """

    def __init__(
        self,
        open_one: Callable[[], Segmenter],
        hopeless: Callable[[WrongModel], None] = lambda _: None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._open = open_one
        self._hopeless = hopeless
        self._retry_seconds = retry_seconds
        self._segmenter: Segmenter | None = None
        self._reason = "The model is still loading. Try again in a few seconds."
        self._closed = Event()
        self._lock = Lock()
        self._thread = Thread(target=self._run, name="opening", daemon=True)
        self._thread.start()

    def get(self) -> Segmenter:
        """The open segmenter. Raises NotReady with the reason, without waiting."""
        if self._segmenter is None:
            raise NotReady(self._reason)
        return self._segmenter

    def close(self) -> None:
        """What runs on the device is finished, what waits is refused."""
        with self._lock:
            self._closed.set()
        if self._segmenter is not None:
            self._segmenter.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._opened(self._open())
            except WrongModel as error:
                self._reason = error.detail
                log.error(error.detail)
                self._hopeless(error)
                return
            except Exception as error:  # noqa: BLE001  it may pass: another process on the device may end
                self._failed(device.named(error))
                self._closed.wait(self._retry_seconds)
            else:
                return

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, ServiceError):
            self._reason = error.detail
            log.error(error.detail, exc_info=error.__cause__)
            return
        self._reason = (
            f"The model could not be loaded ({type(error).__name__}); it is tried again every "
            f"{self._retry_seconds:g} seconds. The log has the traceback."
        )
        log.error("the model could not be loaded", exc_info=error)

    def _opened(self, segmenter: Segmenter) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._segmenter = segmenter
                log.info("ready", extra={"model": segmenter.model.version})
                return
        segmenter.close()  # somebody closed while it was loading
