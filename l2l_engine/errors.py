"""The errors of l2l_engine.

Every error is an :class:`L2LError` and also the builtin a Python programmer would expect, so that
``except FileNotFoundError`` keeps working. Messages name the file and the cause.
"""

from __future__ import annotations


class L2LError(Exception):
    """Base of all errors raised on purpose by this package."""


class PlanError(L2LError, ValueError):
    """The plan is damaged, of another version, or does not add up."""


class PlanNotFoundError(PlanError, FileNotFoundError):
    """There is no plan at the given path."""


class MediaError(L2LError, ValueError):
    """The media file cannot be used: damaged, empty, or without any picture or sound."""


class MediaNotFoundError(MediaError, FileNotFoundError):
    """There is no media file at the given path."""


class MediaAccessError(MediaError, PermissionError):
    """The media path exists but cannot be read as a file (a directory, no permission, a device)."""


class MediaUnreachableError(MediaError, ConnectionError):
    """The server or network failed while a URL was read, or did not answer in time: it may work later."""


class LimitError(MediaError):
    """The media file exceeds a limit set by the embedding service."""


class DeviceError(L2LError, RuntimeError):
    """The requested device, driver or library is not usable here; the message says which and why."""


class DeviceMemoryError(DeviceError, MemoryError):
    """The device has not enough memory for this."""


class DeviceLostError(DeviceError):
    """The device has failed in a way that no call in this process mends: start the process anew.

    CUDA gives the same error to every call of the process from then on, whoever makes it, so everything on
    that device fails at once with this error. Nothing falls back to another way because of it.
    """


class PredictionTimeoutError(L2LError, TimeoutError):
    """``timeout_s`` passed before the prediction was done."""


class ClosedError(L2LError, RuntimeError):
    """The object was closed, or is used in a forked child of the process that made it."""


class CrashedError(L2LError, RuntimeError):
    """The process that worked on a file ended, by a fault of a decoder or for lack of memory."""


class UnexpectedError(L2LError):
    """A fault of this package that one of several files brought up; the others go on.

    ``__cause__`` is the exception itself, and its traceback is in the log ``l2l_engine``.
    """
