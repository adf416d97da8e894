"""What training refuses to work with."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave is not what it should be; the message names the setting or the file."""
