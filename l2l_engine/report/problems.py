"""What can go wrong while a report is made."""

from __future__ import annotations

from l2l_engine.errors import L2LError


class ReportWriteError(L2LError, OSError):
    """The report cannot be written to the given path; nothing was left there."""


class PlotUnavailableError(L2LError, ImportError):
    """matplotlib is not installed; the message says how to get it."""
