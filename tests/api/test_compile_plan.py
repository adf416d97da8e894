"""Compiled sections in a plan's file: how they are added, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from l2l_engine.errors import PlanError
from l2l_engine.plan import CompiledSettings, Plan, read_plan, write_compiled, write_plan
from tests.api.plans import refused, rewrite, write_small_plan

ENGINE = CompiledSettings(
    precision="fp32",
    graph=hashlib.sha256(b"no graph").hexdigest(),
    version="1.2",
    device="sm80",
    batch=(1, 32, 64),
)


def compiled_plan(path: Path, **changes: object) -> Plan:
    plan = write_small_plan(path)
    sections = {
        f"tensorrt_rtx.{part}": (replace(ENGINE, **changes), b"engine") for part in ("image", "audio")
    }
    return write_compiled(path, plan, sections)


def test_compiled_sections_are_added_and_all_else_stays(tmp_path: Path) -> None:
    bare, path = write_small_plan(tmp_path / "bare.plan"), tmp_path / "small.plan"
    compiled_plan(path)
    plan = read_plan(path)
    assert plan.compiled == {"tensorrt_rtx.image": b"engine", "tensorrt_rtx.audio": b"engine"}
    assert plan.document.compiled["tensorrt_rtx.image"] == ENGINE
    assert {k: v for k, v in plan.tensors.items() if not k.startswith("compiled.")} == bare.tensors
    again = {
        "tensorrt_rtx.image": (replace(ENGINE, version="2"), b"newer"),
        "openvino.audio": (ENGINE, b"blob"),
    }
    more = write_compiled(path, plan, again)
    assert len(more.compiled) == 3
    assert more.compiled["tensorrt_rtx.image"] == b"newer"
    assert more.document.compiled["tensorrt_rtx.image"].version == "2"
    stripped = replace(more.document, compiled={})
    write_plan(path, stripped, graphs=more.graphs, skim=more.skim)
    assert path.read_bytes() == (tmp_path / "bare.plan").read_bytes()


def test_a_compiled_section_of_another_graph_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "small.plan"
    write_small_plan(path)
    before = path.read_bytes()
    for changes in ({"graph": "0" * 64}, {"precision": "int8"}):
        with pytest.raises(PlanError, match="another graph"):
            compiled_plan(path, **changes)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("precision", "fp8"),
        ("graph", "abc"),
        ("graph", None),
        ("version", ""),
        ("device", "x" * 301),
        ("device", "\ud800"),
        ("batch", [1, 2]),
        ("batch", [4, 2, 8]),
        ("batch", [0, 1, 2]),
        ("batch", [1, 2, 10**9]),
        ("batch", "123"),
        ("batch", 3),
        ("surprise", 1),
    ],
)
def test_settings_of_a_compiled_section_are_checked(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "small.plan"
    compiled_plan(path)
    message = refused(path, rewrite(path, ("compiled", "tensorrt_rtx.audio", field), value))
    assert "compiled.tensorrt_rtx.audio" in message
    assert field in message


def test_a_compiled_section_and_its_settings_belong_together(tmp_path: Path) -> None:
    path = tmp_path / "small.plan"
    compiled_plan(path)
    settings = json.loads(json.dumps(asdict(ENGINE)))
    whole = {"tensorrt_rtx.image": settings, "tensorrt_rtx.audio": settings}
    for change in (
        {"tensorrt_rtx.image": settings},
        whole | {"openvino.image": settings},
        [],
        {"tensorrt_rtx.image": 1},
    ):
        assert "compiled" in refused(path, rewrite(path, ("compiled",), change))
