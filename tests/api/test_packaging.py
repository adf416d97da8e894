"""The package as a user gets it: imports, the wheel, the arrows between the rooms."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import l2l_engine

ROOT = Path(__file__).parents[2]


def run(*command: object, **options: object) -> str:
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=280, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    output: str = done.stdout + done.stderr
    return output


def test_importing_brings_nothing_that_is_not_needed_yet() -> None:
    log = run(sys.executable, "-X", "importtime", "-c", "import l2l_engine")
    modules = {
        line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")
    }
    assert "l2l_engine.classifier" in modules
    heavy = {"av", "openvino", "rich", "scipy", "starlette", "torch", "training", "typer"}
    assert not heavy & {module.partition(".")[0] for module in modules}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Its own build folder: the tree's one belongs to the editable install that runs these tests.
    build = f"--config-settings=build-dir={folder / 'build'}"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel")
    run(*pip, "--no-deps", "--no-build-isolation", build, "--wheel-dir", folder, ROOT)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_runtime_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"l2l_engine"}
    for needed in ("l2l_engine/py.typed", "l2l_engine/_native.pyi", "l2l_engine/report/page.html"):
        assert needed in names
    assert any(name.startswith("l2l_engine/_native.") and name.endswith(".so") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_says_what_was_compiled_into_it(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if ".dist-info/sboms/" in name)
    content = json.loads(archive.read(name))
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    assert content["metadata"]["component"]["version"] == l2l_engine.__version__
    assert "pybind11" in {component["name"] for component in content["components"]}


def test_the_wheel_works_outside_the_tree(wheel: Path, tmp_path: Path, plan_file: Path, video: Path) -> None:
    """Installed in an environment of its own, which borrows only the dependencies of this one."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    borrowed = tmp_path / "borrowed"
    borrowed.mkdir()
    for entry in Path(sys.prefix).glob("lib/python*/site-packages/*"):
        if (
            not entry.name.startswith(("l2l_engine", "_l2l_engine", "__editable__"))
            and entry.suffix != ".pth"
        ):
            (borrowed / entry.name).symlink_to(entry)
    program = (
        "import sys, l2l_engine; print(l2l_engine.__file__);"
        "c = l2l_engine.Classifier(sys.argv[1]); print(c.predict(sys.argv[2]).label)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(borrowed)}
    python = tmp_path / "env" / "bin" / "python"
    output = run(python, "-c", program, plan_file, video, cwd=tmp_path, env=environment).splitlines()
    assert output[0].startswith(str(site))
    assert output[1] in ("ball bouncing", "box sliding", "star shaking")


@pytest.mark.parametrize("room", ["l2l_engine.backends.openvino", "training.export.graphs"])
def test_nobody_is_told_of_the_import(room: str) -> None:
    """OpenVINO's own package for that is never loaded: it would fork, and open a connection."""
    check = f"import {room}, sys; assert sys.modules['openvino_telemetry'] is None"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=Path(__file__).parents[2])


def test_the_training_is_of_the_same_version() -> None:
    """The distribution that trains beside an installed wheel."""
    text = (ROOT / "packaging" / "training" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{l2l_engine.__version__}"' in text
    assert f"l2l_engine[training]=={l2l_engine.__version__}" in text


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not importlib.util.find_spec("ziglang"), reason="pip install 'l2l_engine[wheels]'")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_wheel_for_old_systems(machine: str) -> None:
    """auditwheel reads it, and would not give it the tag if it asked for more than that glibc has."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "packaging/wheels.py", machine]
    environment = os.environ | {"PATH": path}
    subprocess.run(command, check=True, cwd=ROOT, timeout=3500, env=environment)
    folder = ROOT / "dist" if machine == platform.machine() else ROOT / "dist" / machine
    (path_of_wheel,) = folder.glob("l2l_engine-*.whl")
    assert re.search(rf"-manylinux_2_2[78]_{machine}\.whl$", path_of_wheel.name)
