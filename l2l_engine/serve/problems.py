"""What a request is refused with: a status, a kind for programs, a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping

from l2l_engine import errors

_BY_ERROR: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.LimitError, 422, "limit"),
    (errors.MediaNotFoundError, 404, "not_found"),
    (errors.MediaUnreachableError, 422, "uri"),
    (errors.MediaError, 422, "media"),
    (errors.PredictionTimeoutError, 504, "timeout"),
    (errors.L2LError, 503, "unavailable"),
)
"""The first that fits. What is none of them is a fault of ours: 500."""


class RefusedError(Exception):
    """A request is answered with an error.

    Args:
        status: HTTP status.
        kind: A word that programs, and the metrics, tell errors apart by.
        message: A sentence for people.
        headers: Headers of the answer.
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.headers = status, kind, dict(headers or {})


def bad_request(message: str) -> RefusedError:
    """The request itself is wrong."""
    return RefusedError(400, "request", message)


def too_large(most: int) -> RefusedError:
    """More bytes than are taken."""
    return RefusedError(413, "too_large", f"more than the {most} bytes that are taken here")


def refusal(error: errors.L2LError, *, hidden: str, shown: str) -> RefusedError:
    """What an error of the engine is answered with.

    Args:
        error: The error; its message names the file.
        hidden: The name of the file on this machine, which is nobody's business.
        shown: The name the client gave it.
    """
    status, kind = next((status, kind) for type_, status, kind in _BY_ERROR if isinstance(error, type_))
    return RefusedError(status, kind, str(error).replace(hidden, shown))
