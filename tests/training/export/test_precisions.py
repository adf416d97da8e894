"""fp16 and int8 graphs: near the fp32 network, and float where they must be."""

import json
from dataclasses import replace

import numpy as np
import onnx
import openvino
import pytest
import torch
from typer.testing import CliRunner

from l2l_engine.backends import INPUTS
from l2l_engine.backends.openvino import OpenVINOEncoder
from l2l_engine.backends.tensorrt import TensorRTBuilder
from l2l_engine.cli.main import app
from l2l_engine.plan import MediaSettings, write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from training.export.graphs import example_inputs, fp32_graphs
from training.export.precisions import Calibration, front_nodes, mean_cosine, more_precisions, tail_nodes
from training.export.untrained import settle
from training.models import AudioEncoder, ImageEncoder

WIDTH = 0.25


@pytest.fixture(scope="module")
def made():
    """Encoders, calibration, their graphs in three precisions, and what is said of them."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    encoders = {"image": ImageEncoder(WIDTH), "audio": AudioEncoder(WIDTH)}
    inputs = dict(zip(("image", "audio"), example_inputs(MediaSettings(), 12), strict=True))
    for part, encoder in encoders.items():
        settle(encoder, inputs[part])
    graphs, _ = fp32_graphs(encoders, MediaSettings())
    calibration = Calibration(inputs, "noise")
    more, records = more_precisions(encoders, graphs, ("fp32", "fp16", "int8"), calibration)
    return encoders, inputs, graphs | more, records


def test_what_is_made_and_said(made):
    _, _, graphs, records = made
    assert sorted(graphs) == sorted(f"{m}.{p}" for m in ("image", "audio") for p in ("fp32", "fp16", "int8"))
    assert records["int8"]["calibration"] == {"data": "noise", "image": 12, "audio": 12}
    assert records.keys() == {"fp16", "int8"}
    json.dumps(records)


@pytest.mark.parametrize("part", ["image", "audio"])
def test_graphs_are_smaller_and_take_any_batch(made, part):
    encoders, inputs, graphs, _ = made
    sizes = [len(graphs[f"{part}.{precision}"]) for precision in ("fp32", "fp16", "int8")]
    assert sizes[1] < 0.75 * sizes[0]
    assert sizes[2] < 0.95 * sizes[0]  # most weights are in the tail
    for precision, least in (("fp16", 0.9999), ("int8", 0.95)):
        graph = graphs[f"{part}.{precision}"]
        assert mean_cosine(encoders[part], graph, inputs[part]) > least
        assert mean_cosine(encoders[part], graph, inputs[part][:1]) > least
        dtype = np.uint8 if part == "image" else np.float32
        encoder = OpenVINOEncoder(f"{part}.{precision}", graph, dtype=dtype)
        assert encoder.features == encoders[part].features
        for trace in (b".py", b"torch.nn", b"/tmp", b"/home"):
            assert trace not in graph


@pytest.mark.parametrize("part", ["image", "audio"])
def test_int8_is_really_int8_between_a_front_and_a_tail_that_stay_float(made, part):
    graph = onnx.load_from_string(made[2][f"{part}.int8"])
    plain = onnx.load_from_string(made[2][f"{part}.fp32"])
    front, tail = set(front_nodes(plain)), set(tail_nodes(plain)) - set(front_nodes(plain))
    producers = {output: node for node in graph.graph.node for output in node.output}
    float_nodes = front | tail
    quantised = [node for node in graph.graph.node if node.op_type == "Conv" and node.name not in float_nodes]
    assert len(quantised) == 13  # of the 20 of a ResNet-18
    assert sum(node.op_type == "Conv" for node in graph.graph.node if node.name in tail) == 7
    for node in quantised:
        makers = [producers[name] for name in node.input[:2]]
        # Pooling picks among quantised values.
        makers[0] = producers[makers[0].input[0]] if makers[0].op_type == "MaxPool" else makers[0]
        assert [maker.op_type for maker in makers] == ["DequantizeLinear"] * 2
    for node in graph.graph.node:
        if node.name in float_nodes:
            made_by = [producers[name].op_type for name in node.input if name in producers]
            assert "DequantizeLinear" not in made_by, node.name
    front_types = {node.op_type for node in graph.graph.node if node.name in front}
    assert front_types >= ({"Cast", "Mul"} if part == "image" else {"Conv", "MatMul", "Log"})


@pytest.mark.parametrize("part", ["image", "audio"])
def test_fp16_keeps_its_front_in_float32(made, part):
    graph = onnx.load_from_string(made[2][f"{part}.fp16"]).graph
    kernels = [t for t in graph.initializer if len(t.dims) == 4 and t.dims[0] > 1]
    assert [t.data_type for t in kernels] == [onnx.TensorProto.FLOAT16] * 20
    if part == "audio":  # the DFT basis
        assert [t for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) == 3]


def test_a_quiet_spectrum_survives_fp16(made):
    """Powers of 1e-6 and less decide between quiet sounds; fp16 does not hold them."""
    encoders, _, graphs, _ = made
    quiet = 1e-3 * torch.randn(4, 16000, generator=torch.Generator().manual_seed(1))
    assert mean_cosine(encoders["audio"], graphs["audio.fp16"], quiet) > 0.9999
    compiled = openvino.Core().compile_model(openvino.Core().read_model(graphs["audio.fp16"]), "CPU")
    assert np.isfinite(compiled([quiet.numpy()])[0]).all()


def test_a_graph_that_is_far_off_is_refused(made, monkeypatch):
    encoders, inputs, graphs, _ = made
    monkeypatch.setattr("training.export.precisions.quantise", lambda *_: graphs["image.fp32"])
    torch.manual_seed(9)
    other = {"image": ImageEncoder(WIDTH).eval()}
    with pytest.raises(RuntimeError, match="image features in int8"):
        more_precisions(other, graphs, ("int8",), Calibration(inputs, "noise"))
    assert encoders["image"] is not other["image"]


def test_inspect_shows_sizes_and_accuracy_by_precision(tmp_path):
    graphs = {
        "image.fp32": image_graph(),
        "audio.fp32": audio_graph(),
        "image.int8": b"i",
        "audio.int8": b"a",
    }
    provenance = {"precisions": {"fp32": {"top1": 0.925, "videos": 40}, "int8": "odd"}}
    write_plan(
        tmp_path / "x.plan", replace(DOCUMENT, provenance=provenance), graphs=graphs, skim=random_skim()
    )
    said = CliRunner().invoke(app, ["inspect", str(tmp_path / "x.plan")]).stdout
    line = next(line for line in said.splitlines() if line.strip().startswith("fp32"))
    assert "top-1 92.5% of 40 validation videos" in line
    assert any(
        line.split() == ["int8", "audio", "0.00", "MB,", "image", "0.00", "MB"] for line in said.splitlines()
    )


@pytest.mark.parametrize("part", ["image", "audio"])
def test_tensorrt_builds_engines_in_every_precision(made, part):
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError)
    builder = TensorRTBuilder("tensorrt_rtx")
    for precision in ("fp32", "fp16", "int8"):
        graph = made[2][f"{part}.{precision}"]
        engine = builder.build(f"{part}.{precision}", graph, dtype=INPUTS[part], batch=(1, 4, 8))
        assert b"features" in engine
        # The graph's weights as they are, and up to 4 MB of TensorRT's own.
        assert 0.9 * len(graph) < len(engine) < len(graph) + 4e6
