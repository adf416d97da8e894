"""l2l compile, and what inspect and doctor say of its work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from l2l_engine.backends import cache, tensorrt
from l2l_engine.errors import DeviceError
from l2l_engine.plan import CompiledSettings, read_plan, write_compiled, write_plan
from tests.api.commands import inside, l2l
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim, write_small_plan


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("L2L_CACHE", str(tmp_path / "cache"))
    cache._warn_once.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(flavour: str) -> None:
        raise DeviceError(f"{flavour}: pip install it")

    monkeypatch.setattr(tensorrt, "load_library", missing)


@pytest.mark.usefixtures("no_tensorrt")
def test_compile_for_the_processor(plan_file: Path, tmp_path: Path, own_cache: Path) -> None:
    target = tmp_path / "out.plan"
    status, out, err = inside("compile", plan_file, "-o", target)
    assert (status, err) == (0, "")
    for expected in ("image", "audio", "fp32", "MB", str(target), "openvino version", "any batch"):
        assert expected in out
    before, after = read_plan(plan_file), read_plan(target)
    assert after.compiled.keys() == {"openvino.image", "openvino.audio"}
    assert before.tensors.items() < after.tensors.items()
    assert len(list((own_cache / "built").iterdir())) == 2
    status, out, _ = inside("inspect", target)
    assert status == 0
    assert out.count(", built here") == 2
    for line in (line for line in out.splitlines() if "built here" in line):
        assert line.split()[0] in after.compiled
        assert "fp32, 0.0" in line
        assert f"version {after.document.compiled['openvino.image'].version}" in line
    (own_cache / "built").rename(own_cache / "elsewhere")
    assert inside("inspect", target)[1].count(", not built here") == 2


def test_compile_for_gpus_beside_the_processor(plan_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError)
    target = tmp_path / "out.plan"
    assert inside("compile", plan_file, "-o", target, "--backend", "openvino")[0] == 0
    processor = read_plan(target).compiled
    status, out, err = inside(
        "compile", target, "-o", target, "--backend", "tensorrt_rtx", "--batch", "1,8,64"
    )
    assert (status, err) == (0, "")
    assert "batch 1 to 64, best 8" in out
    plan = read_plan(target)
    assert processor.items() < plan.compiled.items()
    settings = plan.document.compiled["tensorrt_rtx.audio"]
    assert (settings.batch, settings.precision) == ((1, 8, 64), "fp32")
    assert settings.graph == plan.tensors["graph.audio.fp32"]["sha256"]
    assert "sm80" in settings.device
    _, out, _ = inside("inspect", target)
    assert out.count("built here") == 4


def test_what_a_section_claims_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "claims.plan"
    plan = write_small_plan(path)
    digest = plan.tensors["graph.image.fp32"]["sha256"]
    claims = CompiledSettings(precision="fp32", graph=digest, version="[red]1", device="\x1b[2J")
    write_compiled(path, plan, {"tensorrt.image": (claims, b"engine")})
    status, out, _ = inside("inspect", path)
    assert status == 0
    assert r"version [red]1, for \x1b[2J, any batch, not built here" in out


def test_the_precision_chooses_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "two.plan"
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    graphs |= {"image.int8": image_graph(seed=5), "audio.int8": audio_graph(seed=6)}
    write_plan(path, DOCUMENT, graphs=graphs, skim=random_skim())
    assert inside("compile", path, "-o", path, "--backend", "openvino", "--precision", "int8")[0] == 0
    plan = read_plan(path)
    for part in ("image", "audio"):
        settings = plan.document.compiled[f"openvino.{part}"]
        assert settings.precision == "int8"
        assert settings.graph == plan.tensors[f"graph.{part}.int8"]["sha256"]


@pytest.mark.usefixtures("no_tensorrt")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backend", "magic"), "tensorrt, tensorrt_rtx, openvino"),
        (("--backend", "tensorrt"), "pip install it"),
        (("--backend", "tensorrt_rtx"), "pip install it"),
        (("--precision", "int8"), "no graph.image.int8, only graph.image.fp32"),
        (("--batch", "1,2"), "MIN,OPT,MAX"),
        (("--batch", "4,2,8"), "increase"),
        (("--batch", "1,2,3", "--backend", "openvino"), "any number"),
        (("-o", "no/such/folder/out.plan"), "no/such/folder"),
    ],
)
def test_what_cannot_be_compiled_is_said_plainly(
    plan_file: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    target = tmp_path / "out.plan"
    status, _, err = inside("compile", plan_file, "-o", target, *options)
    assert status == 2
    assert message in err
    assert not target.exists()


def test_graphs_that_are_none_leave_the_plan_alone(tmp_path: Path) -> None:
    path = tmp_path / "small.plan"
    write_small_plan(path)
    before = path.read_bytes()
    status, _, err = inside("compile", path, "-o", path, "--backend", "openvino")
    assert status == 2
    assert f"{path}: graph.image.fp32 cannot be compiled" in err
    assert path.read_bytes() == before


def test_compiling_needs_no_torch(plan_file: Path, tmp_path: Path) -> None:
    script = f"""
import sys
from typer.testing import CliRunner
from l2l_engine.cli.main import app
for backend in ("openvino", "tensorrt_rtx"):
    arguments = ["compile", {str(plan_file)!r}, "-o", {str(tmp_path / "out.plan")!r}, "--backend", backend]
    print(CliRunner().invoke(app, arguments).exit_code)
print({{"torch", "onnx"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    openvino, _, modules = done.stdout.split("\n", 2)
    assert openvino == "0"
    assert modules == "set()\n"


def test_doctor_names_the_gpu_pieces_and_the_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2l_engine.backends.gpu._LIBRARY", "libcuda-is-not-here.so.1")
    status, out, _ = inside("doctor")
    assert status == 0
    for expected in ("no NVIDIA driver", "tensorrt", "tensorrt_rtx", "nvidia-dali", "0 engines, 0.0 MB"):
        assert expected in out
    assert str(own_cache) in out
    own_cache.write_text("in the way")
    assert "not used: it is no folder" in inside("doctor")[1]


def test_doctor_says_how_long_loading_takes(plan_file: Path) -> None:
    status, out, _ = inside("doctor", "--plan", plan_file)
    assert status == 0
    (line,) = (line for line in out.splitlines() if line.startswith("plan"))
    assert "loaded in" in line
    assert "again in" in line


def test_verbose_says_where_engines_come_from(plan_file: Path, video: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.plan"
    assert inside("compile", plan_file, "-o", target, "--backend", "openvino")[0] == 0
    done = l2l("--verbose", "predict", video, "--plan", target, "--jsonl")
    assert done.returncode == 0
    said = done.stderr.splitlines()
    assert all(line.startswith(f"l2l: {target}: ") for line in said)
    words = ("openvino.image from the plan in ", "openvino.audio from the plan in ", "networks loaded in ")
    assert [any(word in line for line in said) for word in words] == [True] * 3
    assert json.loads(done.stdout)["path"] == str(video)
