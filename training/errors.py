"""What ends a training: what the user gave, or where it went."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave is not what it should be; the message names the setting or the file."""


class DivergedError(ArithmeticError):
    """The loss or the weights are no longer numbers; the last checkpoint is from before that."""
