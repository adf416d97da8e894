"""One record and one log, each whole at every moment: what is not in the folder when time is up is lost."""

from __future__ import annotations

import datetime
import json
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu import machine
from benchmarks.gpu.section import DONE, RUNNING, Record, broken

EVERY_S = 1.0
"""How long lines of the log may wait for their file; sections and parts never do."""
_KEPT = 1 << 20
"""Characters of earlier runs that stay in a log."""


class Journal:
    """What came out so far, on disk by temporary file and rename. Safe from two threads.

    Args:
        path: The record, JSON; sections of an earlier run stay until they run again. The log lies beside it.
        facts: Of the machine and the code, for every section; see :func:`benchmarks.gpu.machine.facts`.
    """

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path, self._facts = path, facts
        self._lock = threading.RLock()
        self._saved = 0.0
        self._document: dict[str, Any] = {"sections": {}}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._document = json.loads(path.read_text(encoding="utf-8"))
        self._document["device"] = facts["device"]
        earlier = self.log.read_text(encoding="utf-8")[-_KEPT:] if self.log.exists() else ""
        self._text = [earlier, f"==== {_now()} {json.dumps(facts)}\n"]
        self.save()

    @property
    def log(self) -> Path:
        """All output, beside the record."""
        return self.path.with_suffix(".log")

    def begin(self, name: str) -> None:
        """A section starts: it is "running" until it ends, and for good if nothing ends it."""
        with self._lock:
            self._put(name, broken(RUNNING, "it was not over when this was written") | self._now())
            self._text.append(f"---- {name}\n")
            self.save()

    def part(self, name: str, said: dict[str, Any]) -> None:
        """What a running section knows by now."""
        with self._lock:
            record = self._document["sections"][name]
            record.setdefault("parts", {}).update(said)
            record["measured"] = True
            self.save()

    def line(self, text: str) -> None:
        """A line of output."""
        with self._lock:
            self._text.append(text)
            if time.monotonic() - self._saved > EVERY_S:
                self.save()

    def end(self, name: str, record: Record, seconds: float) -> Record:
        """A section is over. One that broke off keeps its parts; one that is done has them in its record."""
        with self._lock:
            begun = self._document["sections"][name]
            parts = begun.get("parts", {})
            record = record | {key: begun[key] for key in ("when", *self._facts, "clocks")}
            record |= {"seconds": round(seconds, 1), "clocks after": machine.clocks()}
            if parts and record["state"] != DONE:
                record |= {"parts": parts, "measured": True}
            self._put(name, record)
            self._text.append(f"{name}: {json.dumps(record, indent=1)}\n")
            self.save()
            return record

    def save(self) -> None:
        """Write both files."""
        with self._lock:
            _replace(self.path, json.dumps(self._document, indent=1, sort_keys=True) + "\n")
            self._text = ["".join(self._text)]
            _replace(self.log, self._text[0])
            self._saved = time.monotonic()

    def _put(self, name: str, record: Record) -> None:
        self._document["sections"][name] = record

    def _now(self) -> Record:
        return {"when": _now(), **self._facts, "clocks": machine.clocks()}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _replace(path: Path, text: str) -> None:
    """A reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
