"""A report appears whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from l2l_engine import L2LError
from l2l_engine.report import ReportWriteError, files, write_timeline
from tests.report.cases import make


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def test_it_replaces_what_was_there_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    target.write_text("before")
    write_timeline(str(target), make(), None)
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert names(tmp_path) == ["out.html"]


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "out.html", b"page")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.html").stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_midway_keeps_the_old_one(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.html"
    target.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
    with pytest.raises(ReportWriteError, match=r"out\.html: cannot be written: No space left") as caught:
        files.write_whole(target, b"after")
    assert isinstance(caught.value, L2LError)
    assert isinstance(caught.value, OSError)
    assert target.read_text() == "before"
    assert names(tmp_path) == ["out.html"]


@pytest.mark.parametrize("name", ["no/such/folder/out.html", "nul\0.html", "folder"])
def test_a_path_that_cannot_be_written_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReportWriteError, match=r"cannot be written"):
        files.write_whole(f"{tmp_path}/{name}", b"page")
    assert names(tmp_path) == ["folder"]
