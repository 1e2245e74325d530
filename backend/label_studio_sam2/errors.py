"""Everything that can go wrong and that somebody can mend, each with the HTTP status that says so.

    ServiceError 500
    ├── RequestError 400            what was sent can't be answered as it is
    │   ├── LabelConfigError        the labeling config lacks or misspells something
    │   ├── PromptError             a region can't be read as a prompt
    │   ├── UnknownJob 404          no such job, or forgotten since
    │   ├── UnknownVersion 404      no such tuned version of this project
    │   ├── Unauthorized 401        user and password are missing or wrong
    │   ├── ForeignSite 403         a page of another site asks, or a host is named that isn't ours
    │   ├── TooSlow 408             the request's body didn't come in time
    │   └── NotJson 415             the body isn't said to be JSON
    ├── LabelStudioError 502        Label Studio's API can't be reached, or answers with an error
    │   └── LabelStudioRefusal      it answers, but refuses the key or the call
    ├── Superseded 409              a newer click of the same annotator on the same label took this one's place
    ├── TooLarge 413                more pixels, bytes or vertices than the settings allow
    ├── MediaError 502              the picture or video of a task
    │   ├── MediaUnavailable        it can't be fetched: network, 404, wrong or missing key
    │   ├── MediaRefused            its address is one that we don't fetch from
    │   └── MediaUnreadable         it was fetched, but is no picture or video
    ├── SettingError            an environment variable holds what can't be used
    ├── NobodyWaits 499             who asked has hung up
    ├── InternalError               nobody expected it; the log has its traceback
    ├── OutOfMemory 503             the device's memory or this machine's
    ├── DeviceFailed 503            the GPU itself failed
    ├── Busy 503                    too much is waiting; Retry-After says when to come back
    ├── CacheTooSmall 507            what was to be kept would be pushed out again
    ├── NotReady 503                the weights are still loading, or could not be loaded
    └── CheckpointError 503         missing, damaged, or of the wrong hash
        └── WrongModel              MODEL names what can never be loaded, however often it is tried

The text of each is one or two sentences for the person who can mend it: what is wrong, and what to change.
"""

from __future__ import annotations

from typing import ClassVar

TEXT_CHARACTERS = 1000
"""Of a sentence that is answered, kept or logged: it may quote what was sent, and that may be megabytes."""


def brief(text: str, characters: int = TEXT_CHARACTERS) -> str:
    """The text, its middle left out where it is longer: what is wrong stands first, and what to change last."""
    if len(text) <= characters:
        return text
    return f"{text[: characters * 2 // 3]} … {text[-(characters // 3) + 3 :]}"


class ServiceError(Exception):
    """The root; `status` is the HTTP status, `retry_after` the seconds for a Retry-After header."""

    status: ClassVar[int] = 500
    retry_after: int | None = None

    def __init__(self, detail: str) -> None:
        self.detail = brief(detail)
        super().__init__(self.detail)


class RequestError(ServiceError):
    status = 400


class LabelConfigError(RequestError): ...


class PromptError(RequestError): ...


class UnknownJob(RequestError):
    status = 404


class UnknownVersion(RequestError):
    status = 404


class Unauthorized(RequestError):
    status = 401


class ForeignSite(RequestError):
    status = 403


class TooSlow(RequestError):
    status = 408


class NotJson(RequestError):
    status = 415


class LabelStudioError(ServiceError):
    status = 502


class LabelStudioRefusal(LabelStudioError):
    """`answered` is Label Studio's own status, `said` its answer's whole text, from which a cause can be read."""

    def __init__(self, detail: str, answered: int, said: str) -> None:
        super().__init__(detail)
        self.answered = answered
        self.said = said


class Superseded(ServiceError):
    status = 409


class TooLarge(ServiceError):
    status = 413


class MediaError(ServiceError):
    status = 502


class MediaUnavailable(MediaError): ...


class MediaRefused(MediaError): ...


class MediaUnreadable(MediaError): ...


class SettingError(ServiceError): ...


class NobodyWaits(ServiceError):
    status = 499


class InternalError(ServiceError): ...


class OutOfMemory(ServiceError):
    status = 503
    retry_after = 30


class DeviceFailed(ServiceError):
    status = 503
    retry_after = 30


class Busy(ServiceError):
    """`retry_after` where it can be told from what is waiting."""

    status = 503

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class CacheTooSmall(ServiceError):
    status = 507


class NotReady(ServiceError):
    status = 503
    retry_after = 5


class CheckpointError(ServiceError):
    status = 503


class WrongModel(CheckpointError): ...


def known(error: Exception) -> ServiceError:
    """The error as one of the tree: what nobody expected gets a sentence of its own, which shows nothing of it."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(
            "This machine's memory is full. Try again when less is going on, or give the service more memory."
        )
    return InternalError("Something went wrong inside the service; its log has the traceback.")
