from __future__ import annotations

import pytest

from l2l_engine.media import open_media
from l2l_engine.media.containers import CONTAINERS

from .harness import Report, run
from .mutate import SEEDS, base, mutated_media

OUTCOMES = {"prediction", "partial prediction", "MediaError", "LimitError"}


def base_format(name: str) -> str:
    with open_media(base(name)) as source:
        return source.container.split(",")[0]  # type: ignore[attr-defined]


def check(report: Report, count: int, outcomes: set[str]) -> None:
    first = "\n".join(f"{f.kind} at seed {f.seed}: {f.detail}" for f in report.findings[:3])
    assert not report.findings, f"{len(report.findings)} findings, the first:\n{first}"
    assert report.outcomes.total() == count
    assert set(report.outcomes) <= outcomes


@pytest.mark.parametrize(("fault", "kind"), [("hang", "hang"), ("crash", "crash"), ("error", "error")])
def test_the_harness_sees_a_planted_fault_and_goes_on(fault: str, kind: str) -> None:
    report = run(f"planted-{fault}", range(6), hang_s=3.0)
    assert [(finding.kind, finding.seed) for finding in report.findings] == [(kind, 3)]
    assert report.outcomes == {"fine": 5}


def test_the_harness_sees_a_planted_leak() -> None:
    report = run("planted-leak", range(10), memory_mb=300.0)
    assert {finding.kind for finding in report.findings} == {"memory"}
    assert 2 <= report.findings[0].seed <= 6


def test_the_harness_finds_nothing_where_nothing_is() -> None:
    check(run("planted-nothing", range(50)), 50, {"fine"})


def test_the_damage_is_real_and_always_the_same() -> None:
    read = {base_format(name) for name in SEEDS}
    assert read >= set(CONTAINERS) - {"dts", "ape", "amrnb", "amrwb"}  # of which none can be made here
    for seed in range(2 * len(SEEDS)):
        damaged = mutated_media(seed)
        assert damaged == mutated_media(seed)
        assert damaged != base(list(SEEDS)[seed % len(SEEDS)])


@pytest.mark.timeout(900)
def test_damaged_media() -> None:
    report = run("classifier", range(200), hang_s=30.0)
    check(report, 200, OUTCOMES)
    assert len(report.outcomes) >= 3  # some damage is survived, some is not: the damage is of a useful size


@pytest.mark.timeout(900)
def test_damaged_plans() -> None:
    check(run("plan", range(2000), hang_s=30.0), 2000, {"PlanError", "unchanged"})
