"""l2l inspect: provenance as people read it, and all of it as JSON."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from l2l_engine.cli.show import outline
from l2l_engine.plan import read_plan
from tests.api.commands import inside
from tests.api.plans import DOCUMENT, rewrite, write_small_plan

DEMO = Path(__file__).parents[2] / "demo" / "demo.plan"


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"in": inner}
    return inner


def test_provenance_is_lines_that_one_can_read() -> None:
    status, out, err = inside("inspect", DEMO)
    assert (status, err) == (0, "")
    told = out[out.index("\n  provenance\n") : out.index("\ntensor ")].splitlines()
    assert 10 < len(told) < 60
    assert max(map(len, told)) <= 120
    for expected in ("skim ", "top1 0.9625", "21 entries", "see --json"):
        assert any(expected in line for line in told), expected
    assert not any(mark in line for line in told for mark in "{}'\"")


def test_json_holds_all_of_it() -> None:
    status, out, err = inside("inspect", DEMO, "--json")
    assert (status, err) == (0, "")
    told, plan = json.loads(out), read_plan(DEMO)
    assert told.items() >= json.loads(json.dumps(plan.document.to_dict())).items()
    assert told["provenance"]["settings"]["skim"]["preset"] == "paired"
    assert told["tensors"] == plan.tensors
    assert told["sizes"] == asdict(plan.dimensions)
    assert (told["path"], told["sha256"], told["built_here"]) == (str(DEMO), plan.sha256, {})


def test_json_says_what_was_built_here(plan_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.plan"
    assert inside("compile", plan_file, "-o", target, "--backend", "openvino")[0] == 0
    told = json.loads(inside("inspect", target, "--json")[1])
    assert told["built_here"] == {"openvino.image": True, "openvino.audio": True}
    assert told["compiled"]["openvino.image"]["precision"] == "fp32"


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        ({}, []),
        ({"some_thing": None}, ["some thing           none"]),
        ({"a": True, "b": 1 / 3}, ["a                    yes", "b                    0.3333"]),
        ({"a": [1, {"b": "c"}]}, ["a                    [1, (b c)]"]),
        ({"a": {}}, ["a                    "]),
        ({"a": {"b": "x" * 90, "c": 1}}, ["a", f"  b                  {'x' * 90}", "  c                  1"]),
        ({"a": dict.fromkeys(map(str, range(99)), "x" * 9)}, ["a                    99 entries"]),
        ({"k" * 150: {"a": 1, "b": "x" * 99}}, ["k" * 150, "  a                  1", "  b"]),
    ],
)
def test_any_json_has_an_outline(facts: dict[str, Any], lines: list[str]) -> None:
    shown = outline(facts)
    assert len(shown) == len(lines)
    for line, expected in zip(shown, lines, strict=True):
        assert line.startswith(expected)


def test_what_a_plan_claims_is_shown_as_it_is_and_in_bounds(tmp_path: Path) -> None:
    claims = {"[red]\x1b[2J": "\x1b[31m\nred", "long": "x" * 10**6, "deep": nested(50)}
    write_small_plan(tmp_path / "x.plan", replace(DOCUMENT, provenance=claims))
    status, out, _ = inside("inspect", tmp_path / "x.plan")
    assert status == 0
    assert r"[red]\x1b[2J" in out
    assert r"\x1b[31m\nred" in out
    assert "\x1b" not in out
    assert "in (in (in" in out
    assert max(map(len, out.splitlines())) < 500
    assert json.loads(inside("inspect", tmp_path / "x.plan", "--json")[1])["provenance"] == claims


def test_nesting_without_end_ends_in_a_line(tmp_path: Path) -> None:
    """As deep as a plan can be read: JSON or one line about it, and no traceback."""
    path = tmp_path / "deep.plan"
    write_small_plan(path)
    plain = path.read_bytes()
    for levels in range(100, 1000, 100):
        path.write_bytes(plain)
        with contextlib.suppress(RecursionError):
            path.write_bytes(rewrite(path, ("provenance",), nested(levels)))
        status, out, err = inside("inspect", path, "--json")
        assert status == 0 or (status == 2 and not out)
        assert status == 0 or "nested too deeply" in err or "is no JSON" in err
        assert status == 2 or json.loads(out)["provenance"] == nested(levels)
        assert inside("inspect", path)[0] in (0, 2)
