"""The benchmarks' own sums: what is counted, what is kept, what the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import render, results
from benchmarks.harness import OURS, Case, Contestant, interleave


def test_contestants_take_turns_and_slow_ones_stop() -> None:
    order: list[str] = []

    def contestant(name: str, rounds: int | None = None) -> Contestant:
        return Contestant(lambda: float(order.append(name) or len(order)), rounds)

    samples = interleave({"a": contestant("a"), "b": contestant("b", rounds=1)}, rounds=3)
    assert "".join(order) == "a" + "ab" + "a" + "a"
    assert samples == {"a": [2.0, 4.0, 5.0], "b": [3.0]}


@pytest.mark.parametrize(("bound", "met"), [(2.0, True), (4.0, True), (4.1, False)])
def test_a_ratio_below_its_target_is_a_miss(bound: float, met: bool) -> None:
    case = Case("section", "name", samples={OURS: [1.0, 9.0, 1.0], "peer": [4.0, 4.0, 0.1]})
    assert case.faster_than("peer", bound) == 4.0
    assert case.within("peer", 1 / bound) == 0.25
    assert [check["met"] for check in case.to_dict()["targets"]] == [met, met]


def make(name: str, value: float) -> Case:
    case = Case("predictions", name, samples={OURS: [value], "peer": [10.0]})
    case.details["stages"] = {"frames": 0.75, "total": value}
    case.faster_than("peer", 5.0)
    return case


def test_a_later_run_replaces_only_what_it_ran(tmp_path: Path) -> None:
    path = tmp_path / "cpu-x.json"
    results.write([make("one", 1.0), make("two", 4.0)], path)
    results.write([make("two", 8.0)], path)
    cases = json.loads(path.read_text())["sections"]["predictions"]
    assert cases["one"]["seconds"][OURS]["median"] == 1.0
    assert cases["two"]["seconds"][OURS]["median"] == 8.0
    assert cases["one"]["run"]["commit"]


def test_the_page_shows_misses_and_what_did_not_run(tmp_path: Path) -> None:
    path = tmp_path / "cpu-x.json"
    absent = Case("predictions", "three", not_run="no such option")
    results.write([make("one", 1.0), make("two", 4.0), absent], path)
    page = render.render([path])
    assert "Targets: 1 of 2 met" in page
    assert "| predictions: two, peer / ours | 2.5 | at least 5 | stages: frames 750 ms |" in page
    assert "predictions: three (no such option)" in page
    assert "peer / ours 10 (at least 5: met)" in page
    assert "peer / ours 2.5 (at least 5: **missed**)" in page


def test_the_committed_page_is_made_of_the_committed_results() -> None:
    assert render.render(sorted(results.FOLDER.glob("cpu-*.json"))) == render.PAGE.read_text(encoding="utf-8")
