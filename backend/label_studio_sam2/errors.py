"""Everything that can go wrong and that somebody can mend, each with the HTTP status that says so.

    ServiceError 500
    ├── RequestError 400            what was sent can't be answered as it is
    │   ├── LabelConfigError        the labeling config lacks or misspells something
    │   ├── PromptError             a region can't be read as a prompt
    │   ├── UnknownJob 404          no such job, or forgotten since
    │   └── UnknownVersion 404      no such tuned version of this project
    ├── Unauthorized 401
    ├── LabelStudioError 502        Label Studio's API can't be reached, or answers with an error
    │   └── LabelStudioRefusal      it answers, but refuses the key or the call
    ├── Superseded 409              a newer click of the same annotator on the same label took this one's place
    ├── TooLarge 413                more pixels, bytes or vertices than the settings allow
    ├── MediaError 502              the picture or video of a task
    │   ├── MediaUnavailable        it can't be fetched: network, 404, wrong or missing key
    │   ├── MediaRefused            its address is one that we don't fetch from
    │   └── MediaUnreadable         it was fetched, but is no picture or video
    ├── Busy 503                    too much is waiting; Retry-After says when to come back
    ├── CacheTooSmall 507            what was to be kept would be pushed out again
    ├── NotReady 503                the weights are still loading, or could not be loaded
    └── CheckpointError 503         missing, damaged, of another architecture, or of the wrong hash

The text of each is one or two sentences for the person who can mend it: what is wrong, and what to change.
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """The root; `status` is the HTTP status, `retry_after` the seconds for a Retry-After header."""

    status: ClassVar[int] = 500
    retry_after: ClassVar[int | None] = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RequestError(ServiceError):
    status = 400


class LabelConfigError(RequestError):
    pass


class PromptError(RequestError):
    pass


class UnknownJob(RequestError):
    status = 404


class UnknownVersion(RequestError):
    status = 404


class Unauthorized(ServiceError):
    status = 401


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


class MediaUnavailable(MediaError):
    pass


class MediaRefused(MediaError):
    pass


class MediaUnreadable(MediaError):
    pass


class Busy(ServiceError):
    status = 503
    retry_after = 5


class CacheTooSmall(ServiceError):
    status = 507


class NotReady(ServiceError):
    status = 503
    retry_after = 5


class CheckpointError(ServiceError):
    status = 503
