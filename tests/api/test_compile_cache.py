"""The machine's own cache of engines: what it gives back, and what it refuses to believe."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

from l2l_engine.backends import EngineCache, cache
from l2l_engine.plan import CompiledSettings

SETTINGS = CompiledSettings(precision="fp32", graph="0" * 64, version="1.0", device="sm80", batch=(1, 2, 3))
OTHERS = [
    replace(SETTINGS, **change)  # type: ignore[arg-type]
    for change in (
        {"precision": "int8"},
        {"graph": "1" * 64},
        {"version": "1.1"},
        {"device": "sm89"},
        {"batch": (1, 2, 4)},
        {"batch": None},
    )
]
ENGINE = bytes(range(256)) * 8
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _warnings_anew() -> None:
    cache._warn_once.cache_clear()


def digest(engine: bytes) -> str:
    return hashlib.sha256(engine).hexdigest()


def only_file(folder: Path) -> Path:
    (path,) = (path for path in folder.rglob("*.engine"))
    return path


def test_an_engine_comes_back_for_its_settings_alone(tmp_path: Path) -> None:
    store = EngineCache(tmp_path / "cache")
    assert store.get("openvino", SETTINGS) is None
    store.put("openvino", SETTINGS, ENGINE)
    assert store.get("openvino", SETTINGS) == ENGINE
    assert store.has_built("openvino", SETTINGS, digest(ENGINE))
    assert not store.has_built("openvino", SETTINGS, digest(ENGINE + b"x"))
    for backend, settings in (("tensorrt", SETTINGS), *(("openvino", other) for other in OTHERS)):
        assert store.get(backend, settings) is None
        assert not store.has_built(backend, settings, digest(ENGINE))
    assert EngineCache(tmp_path / "other").get("openvino", SETTINGS) is None
    state = store.state()
    assert (state.engines, state.problem) == (1, None)
    assert len(ENGINE) < state.size < len(ENGINE) + 500


def test_nobody_else_may_read_or_write_it(tmp_path: Path) -> None:
    EngineCache(tmp_path / "cache").put("openvino", SETTINGS, ENGINE)
    paths = [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]
    assert len(paths) == 5
    assert not any(path.stat().st_mode & 0o077 for path in paths)


def test_a_record_alone_holds_no_engine(tmp_path: Path) -> None:
    store = EngineCache(tmp_path)
    store.record("openvino", SETTINGS, digest(ENGINE))
    assert store.has_built("openvino", SETTINGS, digest(ENGINE))
    assert store.get("openvino", SETTINGS) is None


def test_a_damaged_entry_is_no_entry_and_is_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = EngineCache(tmp_path)
    store.put("openvino", SETTINGS, ENGINE)
    path = only_file(tmp_path)
    good = path.read_bytes()
    damaged = [good[:size] for size in (0, 1, 64, 65, 70, len(good) - 1)] + [
        good + b"\0",
        b"\n\n",
        b"\n" * 999,
    ]
    for offset in (0, 63, 64, 70, len(good) // 2, len(good) - 1):
        damaged.append(good[:offset] + bytes([good[offset] ^ 1]) + good[offset + 1 :])
    for data in damaged:
        path.write_bytes(data)
        caplog.clear()
        assert store.get("openvino", SETTINGS) is None
        assert "damaged" in caplog.text
    store.put("openvino", SETTINGS, ENGINE)
    assert path.read_bytes() == good


def test_an_entry_in_another_place_is_not_believed(tmp_path: Path) -> None:
    store = EngineCache(tmp_path)
    store.put("openvino", SETTINGS, ENGINE)
    path = only_file(tmp_path)
    data = path.read_bytes()
    path.unlink()
    store.put("openvino", OTHERS[0], b"another")
    only_file(tmp_path).write_bytes(data)
    assert store.get("openvino", OTHERS[0]) is None


def test_where_nothing_can_be_written_it_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = EngineCache(tmp_path / "file" / "cache")
    for _ in range(3):
        store.put("openvino", SETTINGS, ENGINE)
        assert store.get("openvino", SETTINGS) is None
        assert not store.has_built("openvino", SETTINGS, digest(ENGINE))
    assert len(caplog.records) == 1
    assert "set L2L_CACHE" in caplog.text
    assert store.state().problem is not None
    assert EngineCache(tmp_path / "file").state().problem == "it is no folder"


def test_a_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    store = EngineCache(folder)
    store.put("openvino", SETTINGS, ENGINE)
    folder.chmod(0o770)
    assert store.get("openvino", SETTINGS) is None
    assert not store.has_built("openvino", SETTINGS, digest(ENGINE))
    store.put("openvino", OTHERS[0], ENGINE)
    assert "others may write to it" in caplog.text
    assert len(list(folder.rglob("*.engine"))) == 1
    folder.chmod(0o750)
    assert store.get("openvino", SETTINGS) == ENGINE


def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    store = EngineCache(folder)
    store.put("openvino", SETTINGS, ENGINE)
    if os.geteuid() == 0:
        os.chown(folder, 4711, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert store.get("openvino", SETTINGS) is None
    assert "another user" in str(store.state().problem)


def test_what_was_unused_for_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 3 * len(ENGINE))
    store = EngineCache(tmp_path)
    now = time.time()
    for age, settings in ((30, OTHERS[0]), (20, OTHERS[1])):
        store.put("openvino", settings, ENGINE)
        newest = max(tmp_path.rglob("*.engine"), key=lambda path: path.stat().st_mtime)
        os.utime(newest, (now - age, now - age))
    assert store.get("openvino", OTHERS[0]) == ENGINE  # used now, so that the other one is the older
    left, kept = tmp_path / "engines" / "killed.tmp", tmp_path / "engines" / "writing.tmp"
    for path, age in ((left, 3 * 24 * 3600), (kept, 60)):
        path.write_bytes(b"half")
        os.utime(path, (now - age, now - age))
    store.put("openvino", SETTINGS, ENGINE)
    assert store.get("openvino", OTHERS[1]) is None
    assert store.get("openvino", OTHERS[0]) == store.get("openvino", SETTINGS) == ENGINE
    assert kept.exists()
    assert not left.exists()


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setenv("L2L_CACHE", "/mine")
    assert EngineCache().state().folder == "/mine"
    monkeypatch.delenv("L2L_CACHE")
    assert EngineCache().state().folder == "/caches/l2l_engine"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert EngineCache().state().folder == f"{tmp_path}/.cache/l2l_engine"


WRITER = """
import logging, random, sys
from l2l_engine.backends import EngineCache
from tests.api.test_compile_cache import OTHERS
logging.basicConfig()
store, chance = EngineCache(sys.argv[1]), random.Random(int(sys.argv[2]))
for _ in range(80):
    settings = chance.choice(OTHERS[:2])
    store.put("openvino", settings, chance.randbytes(1) * chance.randrange(1, 400_000))
    engine = store.get("openvino", settings)
    assert engine is not None and len(set(engine)) == 1
print("done")
"""


def test_two_processes_that_write_at_once_leave_whole_entries(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "cache")]
    writers = [
        subprocess.Popen([*command, str(seed)], cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True)
        for seed in (1, 2)
    ]
    for writer in writers:
        out, err = writer.communicate(timeout=120)
        assert (out, err) == ("done\n", "")  # what is damaged would be said on standard error
    names = [path.name for path in (tmp_path / "cache" / "engines").iterdir()]
    assert len(names) == 2
    assert all(name.endswith(".engine") for name in names)
