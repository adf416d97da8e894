"""The GPU check's own bookkeeping, and that where there is no GPU it says so and claims nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import __main__ as check
from benchmarks.gpu import checks, child, site
from benchmarks.gpu.section import NotRunError


def test_nothing_counts_as_passed_that_did_not_run() -> None:
    passed, failed, missing = ({"status": state} for state in ("passed", "failed", "not run"))
    assert check.exit_status({"a": passed}) == 0
    assert check.exit_status({"a": passed, "b": missing}) == 2
    assert check.exit_status({"a": missing, "b": failed}) == 1


def test_sections_that_did_not_run_again_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    first = check.merged(path, "GPU", {"a": {"status": "passed"}, "b": {"status": "failed"}})
    path.write_text(json.dumps(first))
    second = check.merged(path, "GPU", {"b": {"status": "passed"}})
    assert {name: record["status"] for name, record in second["sections"].items()} == {
        "a": "passed",
        "b": "passed",
    }


def test_a_section_is_a_line() -> None:
    record = {"status": "not run", "seconds": 1.25, "reason": "Traceback\n  more\nno GPU"}
    assert check.line("tests", record).split() == ["tests", "not", "run", "1.2", "s", "no", "GPU"]
    assert "8 us" in check.line("skimmer", {"status": "passed", "seconds": 3.0, "summary": "8 us"})


def test_every_section_is_there() -> None:
    for place in child.SECTIONS.values():
        module, _, function = place.partition(":")
        assert f"def {function}(" in (Path(check.__file__).parent / f"{module}.py").read_text()


def test_the_pytest_plugin_of_a_bare_machine_knows_the_markers() -> None:
    text = checks.SETTINGS.read_text()
    assert "gpu:" in text
    assert all(Path(path).exists() for path in checks.KERNELS)


def test_without_a_compiler_the_build_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("cmake", "nvcc"):
        monkeypatch.setattr(site.shutil, "which", lambda name, gone=missing: None if name == gone else name)
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
    assert (whole, loaded) == (("True", "True") if not lacking else ("False", "False"))
    assert "no CUDA side" in missing
    target = tmp_path / "record.json"
    command = [sys.executable, "-m", "benchmarks.gpu.child", "skimmer", str(target)]
    subprocess.run(command, env=site.environment(), cwd=site.SITE, capture_output=True, check=True)
    record: dict[str, Any] = json.loads(target.read_text())
    assert record["status"] == "not run"
    assert "no CUDA side" in record["reason"]


def test_the_repeated_video_is_as_long_as_it_says() -> None:
    from benchmarks.gpu.videos import long_video
    from l2l_engine.media import open_media

    with open_media(long_video(30, (160, 120))) as source:
        assert source.duration == pytest.approx(30, abs=0.5)
        assert len(source.key_times()) == 15


def test_the_peer_computes_what_the_graph_says() -> None:
    import numpy as np
    import onnxruntime
    import torch

    from benchmarks.gpu.encoders import Replayed
    from tests.api.networks import resnet18

    rng = np.random.default_rng(0)
    for part, name, batch in (
        ("image", "images", rng.integers(0, 256, (2, 112, 112, 3), np.uint8)),
        ("audio", "samples", rng.standard_normal((2, 16000)).astype(np.float32)),
    ):
        data = resnet18(part, "fp32", width=8)
        got = Replayed(torch, data, device="cpu")(torch.from_numpy(batch)).numpy()
        (expected,) = onnxruntime.InferenceSession(data).run(None, {name: batch})
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
