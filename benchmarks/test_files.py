"""What the timed files are, measured from their packets."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.conftest import Bench
from benchmarks.media import files

TIMED = ("120s-360p.mp4", "120s-360p.webm", "5min-720p.mp4", "10min-720p.mp4", "1h-360p.mp4", "3h-360p.mp4")


@pytest.mark.parametrize("name", TIMED)
def test_file(bench: Bench, name: str) -> None:
    facts = files.facts(files.file(name if bench.timed else "8s-90p.mp4"))
    assert facts.frames == round(facts.seconds * facts.rate)
    bench.case("files", name).details["file"] = dataclasses.asdict(facts)
