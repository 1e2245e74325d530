"""Opens the engine in the background: the service answers from its first second, the device when it is ready."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from label_studio_sam2.engine import device
from label_studio_sam2.engine.cache import EmbeddingCache
from label_studio_sam2.engine.checkpoints import Progress
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import load
from label_studio_sam2.engine.redis_store import RedisStore
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.errors import NotReady, ServiceError
from label_studio_sam2.settings import Settings

log = logging.getLogger(__name__)

RETRY_SECONDS = 30


def open_segmenter(settings: Settings, progress: Progress | None = None) -> Segmenter:
    """Loads the model that the settings name and answers one click with it, so that the first real one isn't slow.

    Raises CheckpointError.
    """
    chosen = device.choose(settings.device)
    model = load(settings.model, settings.model_cache, chosen, progress)
    store = RedisStore(settings.redis_url, settings.embedding_ttl) if settings.redis_url else None
    segmenter = Segmenter(
        model,
        EmbeddingCache(settings.memory_cache_mb << 20, store),
        Lane(decodes_apart=chosen.type != "mps"),  # Metal's queue takes one thread at a time
        autocast=device.encoder_dtype(chosen),
    )
    segmenter.warm_up()
    return segmenter


class Opened:
    """A segmenter that is open from the start: for commands, which can wait and want to fail at once."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def get(self) -> Segmenter:
        return self._segmenter

    def close(self) -> None:
        self._segmenter.close()


class Opening:
    """A segmenter that is being opened, is open, or could not be opened and why."""

    def __init__(self, open_one: Callable[[], Segmenter]) -> None:
        self._open = open_one
        self._segmenter: Segmenter | None = None
        self._reason = "The model is still loading. Try again in a few seconds."
        self._closed = Event()
        self._thread = Thread(target=self._run, name="opening", daemon=True)
        self._thread.start()

    def get(self) -> Segmenter:
        """The open segmenter. Raises NotReady with the reason, without waiting."""
        if self._segmenter is None:
            raise NotReady(self._reason)
        return self._segmenter

    def close(self) -> None:
        """What runs on the device is finished, what waits is refused."""
        self._closed.set()
        if self._segmenter is not None:
            self._segmenter.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._segmenter = self._open()
            except (
                ServiceError
            ) as error:  # a download may work the next time, a file may be put there meanwhile
                self._reason = error.detail
                log.error(error.detail)
                self._closed.wait(RETRY_SECONDS)
            except Exception:
                self._reason = "The model could not be loaded; the log has the traceback."
                log.exception("the model could not be loaded")
                return
            else:
                log.info("ready", extra={"model": self._segmenter.model.version})
                return
