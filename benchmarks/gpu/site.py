"""A place to import the package from that needs no installation: the checkout's sources, and what was built.

Nothing of the package is imported here: that is for the sections, which run in processes of their own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu import machine, processes
from benchmarks.gpu.section import FAILED, NotRunError, broken, finished
from l2l_engine.machine import processors

ROOT = machine.ROOT
BUILT = ROOT / "build" / f"gpu-{sys.version_info[0]}{sys.version_info[1]}"
SITE = BUILT / "site"
PACKAGES = BUILT / "packages"
RUNTIME = ("av", "safetensors", "ml_dtypes")
"""What whole predictions on a GPU import. OpenVINO is the CPU's alone."""

# An editable installation of the package would come first otherwise.
_CUSTOMIZE = """import sys
sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "ScikitBuildRedirectingFinder"]
"""
_BARE = '''"""The package without what this machine lacks: only the CUDA side can be used."""
from l2l_engine.errors import *
__version__ = "0"
'''


def lacking() -> list[str]:
    """Packages that whole predictions take and that are not here."""
    return [name for name in RUNTIME if importlib.util.find_spec(name) is None]


def require_predictions() -> None:
    """For sections that predict.

    Raises:
        NotRunError: A package that it takes is missing.
    """
    if absent := lacking():
        raise NotRunError(f"not installed: {', '.join(absent)}")


def unpack(wheels: Path) -> str | None:
    """Install a folder of wheels where all sections find them; what is wrong, if anything is."""
    found = sorted(wheels.glob("*.whl"))
    if not found:
        return "there are no wheels"
    options: list[str | Path] = [
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--upgrade",
        "--quiet",
        "--target",
        PACKAGES,
    ]
    done = processes.run([sys.executable, "-m", "pip", "install", *options, *found], 300)
    return None if done.good else done.reason()


def use_packages() -> None:
    """Have this process too see what was unpacked, now or in an earlier run."""
    if PACKAGES.exists():
        sys.path.insert(0, str(PACKAGES))


def build(limit_s: float, said: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Compile the native core and its CUDA side for this GPU, and lay out :data:`SITE`."""
    beside = os.pathsep.join([str(PACKAGES / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    cmake = shutil.which("cmake", path=beside)
    if cmake is None:
        raise NotRunError("cmake is not on the PATH (pip install cmake)")
    if shutil.which("nvcc") is None:
        raise NotRunError("nvcc is not on the PATH")
    if importlib.util.find_spec("pybind11") is None:
        raise NotRunError("pybind11 is not installed (pip install pybind11)")
    import pybind11  # noqa: PLC0415

    architecture = machine.capability() or "90"
    options = {
        "L2L_CUDA": "ON",
        "L2L_PHASE_TIMES": "ON",
        "CMAKE_CUDA_ARCHITECTURES": architecture,
        "pybind11_DIR": pybind11.get_cmake_dir(),
        "Python_EXECUTABLE": sys.executable,
    }
    defined = [f"-D{name}={value}" for name, value in options.items()]
    end = time.monotonic() + limit_s
    commands: tuple[list[str | Path], ...] = (
        [cmake, "-S", ROOT, "-B", BUILT, *defined],
        [cmake, "--build", BUILT, f"-j{processors()}"],
    )
    whole = BUILT / "whole"
    if not whole.exists():  # what a build that was killed left may be cut short, and looks finished
        commands[1].append("--clean-first")
    whole.unlink(missing_ok=True)
    for command in commands:
        done = processes.run(command, end - time.monotonic(), said=said)
        if not done.good:
            return broken(FAILED, done.reason())
    whole.touch()
    lay_out()
    return finished([], f"for {architecture}", architecture=architecture, lacking=lacking())


def rehearse() -> None:
    """Lay out :data:`SITE` where nothing could be built, with the native core that is installed."""
    script = "import l2l_engine._native as native; print(native.__file__)"
    done = processes.run([sys.executable, "-c", script], 60, cwd=ROOT)
    native = [Path(done.output.strip().splitlines()[-1])] if done.good else []
    lay_out([*native, *BUILT.glob("_*.so")])


def lay_out(modules: list[Path] | None = None) -> None:
    """Links to the sources, with the built modules beside them."""
    shutil.rmtree(SITE, ignore_errors=True)
    package = SITE / "l2l_engine"
    package.mkdir(parents=True)
    for path in (ROOT / "l2l_engine").iterdir():
        if path.name not in {"__init__.py", "__pycache__"} and path.suffix != ".so":
            (package / path.name).symlink_to(path)
    for path in BUILT.glob("_*.so") if modules is None else {path.name: path for path in modules}.values():
        (package / path.name).symlink_to(path)
    if lacking():
        (package / "__init__.py").write_text(_BARE)
    else:
        (package / "__init__.py").symlink_to(ROOT / "l2l_engine" / "__init__.py")
    (SITE / "sitecustomize.py").write_text(_CUSTOMIZE)
    about = SITE / "l2l_engine-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: l2l_engine\nVersion: 0\n")


def environment(**more: str) -> dict[str, str]:
    """For a process that imports the package from :data:`SITE`."""
    folders = [SITE, ROOT, *([PACKAGES] if PACKAGES.exists() else [])]
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([*map(str, folders), *([known] if known else [])])
    return {**os.environ, "PYTHONPATH": path, **more}
