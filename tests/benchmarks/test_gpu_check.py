"""The GPU check's own bookkeeping, and that where there is no GPU it says so and claims nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import __main__ as check
from benchmarks.gpu import checks, child, processes, shown, site
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.section import DONE, FAILED, NOT_RUN, NotRunError, finished, goal

FACTS = {"device": "GPU", "driver": "580", "cuda": "13.0", "commit": "abc", "sources": "def"}


def record(state: str = DONE, met: bool | None = True) -> dict[str, Any]:
    return {"state": state, "measured": state == DONE, "goal met": met if state == DONE else None}


def test_nothing_counts_as_met_that_did_not_run() -> None:
    assert check.exit_status({"a": record()}) == 0
    assert check.exit_status({"a": record(), "b": record(NOT_RUN)}) == 2
    assert check.exit_status({"a": record(), "b": record(met=None)}) == 2
    assert check.exit_status({"a": record(NOT_RUN), "b": record(FAILED)}) == 1
    assert check.exit_status({"a": record(), "b": record(met=False)}) == 1


def test_measured_and_goal_met_are_two_things() -> None:
    missed = finished([goal("us", 120.0, at_most=100), goal("x", 12, at_least=10)], "120 us")
    assert (missed["measured"], missed["goal met"]) == (True, False)
    open_ = finished([goal("us", 80.0, at_most=100), goal("times a peer", None, at_least=10)], "80 us")
    assert (open_["measured"], open_["goal met"]) == (True, None)
    assert finished([goal("us", 80.0, at_most=100)], "")["goal met"] is True
    assert finished([goal("all pass", False)], "")["goal met"] is False


def test_a_section_is_a_line() -> None:
    given = record(NOT_RUN) | {"seconds": 1.25, "reason": "Traceback\n  more\nno GPU"}
    assert check.line("tests", given).split() == ["tests", "not", "run", "1.2", "s", "no", "GPU"]
    given = record(met=False) | {"seconds": 3.0, "summary": "120 us"}
    assert check.line("skimmer", given).split() == ["skimmer", "goal", "missed", "3.0", "s", "120", "us"]


def test_the_record_goes_where_it_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    assert check.place_of_results(Path("asked.json"), "NVIDIA H200") == Path("asked.json")
    assert check.place_of_results(None, "NVIDIA H200") == tmp_path / "gpu-nvidia-h200.json"
    assert check.place_of_results(None, None) == tmp_path / "rehearsal.json"
    monkeypatch.delenv("OUT")
    assert check.place_of_results(None, "NVIDIA H200") == check.RESULTS / "gpu-nvidia-h200.json"
    assert check.place_of_results(None, None).parent == site.BUILT, "a rehearsal is no result"


def test_every_section_is_there() -> None:
    for place in child.SECTIONS.values():
        folder, name = place.module.rsplit(".", 1)
        text = (site.ROOT / folder.replace(".", "/") / f"{name}.py").read_text()
        assert f"def {place.function}(" in text
        assert 0 < place.limit_s < check.LIMIT_S <= 480


def test_what_tells_most_and_needs_least_comes_first() -> None:
    order = list(child.SECTIONS)
    first = [
        "tests",
        "stress",
        "skimmer",
        "memcheck",
        "synccheck",
        "ways",
        "interpolation",
        "plan",
        "agreement",
    ]
    assert order[: len(first)] == first
    assert set(order[-3:]) == shown.ELSEWHERE_ALONE


def test_the_pytest_plugin_of_a_bare_machine_knows_the_markers() -> None:
    text = checks.SETTINGS.read_text()
    assert "gpu:" in text
    assert all(Path(path).exists() for path in checks.KERNELS)


def test_without_a_compiler_the_build_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("cmake", "nvcc"):
        monkeypatch.setattr(
            site.shutil, "which", lambda name, gone=missing, **_: None if name == gone else name
        )
        with pytest.raises(NotRunError, match=f"{missing} is not on the PATH"):
            site.build(1.0)


@pytest.mark.parametrize("lacking", [[], ["av"]])
def test_the_package_is_found_without_an_installation(
    lacking: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links to the sources; where PyAV is missing, a package with the CUDA side's front alone."""
    from l2l_engine import _native

    native = str(_native.__file__)
    built = tmp_path / "built"
    built.mkdir()
    (built / Path(native).name).symlink_to(native)
    monkeypatch.setattr(site, "BUILT", built)
    monkeypatch.setattr(site, "SITE", built / "site")
    monkeypatch.setattr(site, "lacking", lambda: lacking)
    site.lay_out()
    script = """
import sys, l2l_engine
from l2l_engine.cuda import why_not
print(l2l_engine.__file__, hasattr(l2l_engine, "Classifier"), "av" in sys.modules, why_not())
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=site.environment(), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, whole, loaded, missing = done.stdout.strip().split(" ", 3)
    assert where.startswith(str(built))
    assert (whole, loaded) == ("False" if lacking else "True", "False")
    assert "no CUDA side" in missing
    target = tmp_path / "record.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu.child",
        "benchmarks.gpu.timings",
        "skimmer",
        "1",
        str(target),
    ]
    subprocess.run(command, env=site.environment(), cwd=site.SITE, capture_output=True, check=True)
    made: dict[str, Any] = json.loads(target.read_text())
    assert made["state"] == NOT_RUN
    assert "no CUDA side" in made["reason"]


def test_the_repeated_video_is_as_long_as_it_says() -> None:
    from benchmarks.gpu.videos import long_video
    from l2l_engine.media import open_media

    with open_media(long_video(24, (160, 120))) as source:
        assert source.duration == pytest.approx(24, abs=0.1)
        assert len(source.key_times()) == 12
        # Its turns are alike, picture and sound, and follow each other without a gap.
        moments = np.array([1.5, 9.5, 17.5])
        frames = source.frames(moments, short_side=128, crop=112)
        sounds = source.audio_windows(moments, window=16000, sample_rate=16000).samples
        assert np.abs(np.diff(frames.images.astype(int), axis=0)).mean() < 2
        assert np.abs(sounds[0]).max() > 0.3
        np.testing.assert_allclose(sounds[1:], sounds[:1].repeat(2, axis=0), atol=1e-3)


def test_a_program_is_ended_with_all_it_started_when_its_time_is_over() -> None:
    script = "echo begun; sleep 60 & sleep 60"
    done = processes.run(["bash", "-c", script], 0.5)
    assert (done.output, done.status, done.good) == ("begun\n", None, False)
    assert "not done in time" in done.reason()
    done = processes.run([sys.executable, "-c", "import sys; print('out'); sys.exit('err')"], 60)
    assert (done.good, done.status) == (False, 1)
    assert "it ended with 1: out" in done.reason()
    assert "err" in done.reason()


def test_a_section_that_hangs_or_dies_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "SITE", tmp_path)
    journal = Journal(tmp_path / "gpu.json", FACTS)
    run = check.Run(journal)
    for done, words in (
        (processes.Finished("about to hang", None), "not done in time: about to hang"),
        (processes.Finished("hung", None, stuck=True), "could not be killed and was left behind: hung"),
        (processes.Finished("Segmentation fault", 139), "ended with 139: Segmentation fault"),
    ):
        monkeypatch.setattr(check.processes, "run", lambda *_, done=done, **__: done)
        made = run.section("skimmer", child.SECTIONS["skimmer"])
        assert made["state"] == FAILED
        assert words in made["reason"]
        assert made.get("left behind", False) == done.stuck
    run._end = 0.0
    assert run.section("skimmer", child.SECTIONS["skimmer"])["state"] == NOT_RUN


def test_where_the_sanitizer_cannot_look_it_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.shutil, "which", lambda _: "compute-sanitizer")
    said = "========= Error: Device not supported. Please refer to the documentation"
    monkeypatch.setattr(checks.processes, "run", lambda *_, **__: processes.Finished(said, 1))
    with pytest.raises(NotRunError, match="Device not supported"):
        checks.memcheck()


def test_wheels_of_a_folder_are_found_without_an_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched; what a wheel needs beside it has to be there."""
    wheels, packages = tmp_path / "wheels", tmp_path / "packages"
    wheels.mkdir()
    monkeypatch.setattr(site, "PACKAGES", packages)
    assert site.unpack(wheels) == "there are no wheels"
    name = "carried-1.0"
    with zipfile.ZipFile(wheels / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried.py", "answer = 42\n")
        wheel.writestr(
            f"{name}.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: carried\nVersion: 1.0\nRequires-Dist: nowhere\n",
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    assert site.unpack(wheels) is None
    command = [sys.executable, "-c", "import carried; print(carried.answer)"]
    assert processes.run(command, 60, env=site.environment()).output == "42\n"
