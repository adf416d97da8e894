"""The map of docs/design.md is true: it is what the files say of themselves, and no room is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.rooms import NATIVE, PAGE, ROOT, first_sentence, layers, replaced


def test_the_map_is_what_the_files_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == replaced(page), "run python -m tests.docs.rooms"


def test_no_room_is_left_out() -> None:
    engine = ROOT / "l2l_engine"
    there = {path.stem for path in engine.glob("*.py")} | {path.parent.name for path in engine.glob("*/*.py")}
    assert set(layers()) == there - {"__init__"}
    assert set(NATIVE) == {path.name for path in (ROOT / "csrc").iterdir() if path.is_dir()}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.py", '"""What it is: one thing. And more.\n\nFurther."""\n', "What it is: one thing"),
        ("b.py", '"""Eq. 5 to 9 in\nforty lines."""\n', "Eq. 5 to 9 in forty lines"),
        (
            "c.h",
            "#pragma once\n\n// Borrowed memory. Owns nothing.\n// More.\n\n// Later.\n",
            "Borrowed memory",
        ),
    ],
)
def test_first_sentences(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert first_sentence(tmp_path / name) == said
