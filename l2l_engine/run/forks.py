"""What a forked child must not touch: native objects whose threads stayed behind in the parent."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Protocol


class Owner(Protocol):
    """Something that owns native objects."""

    def disown(self) -> list[object]:
        """Let go of the native objects and return them; called in the child only."""


_owners: weakref.WeakSet[Owner] = weakref.WeakSet()


def watch(owner: Owner) -> None:
    """From now on, a forked child's copy of ``owner`` is emptied before anything else runs there."""
    _owners.add(owner)


def _abandon() -> None:
    for owner in list(_owners):
        for native in owner.disown():
            # Their destructors would wait for threads that a fork does not copy: never let them run.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))


os.register_at_fork(after_in_child=_abandon)
