import numpy as np
import onnx
import openvino
import pytest
import torch

from l2l_engine.plan import MediaSettings, PlanDocument, read_plan, write_plan
from training.export.graphs import compare, example_inputs, to_onnx
from training.export.trained import skim_tensors
from training.models import AudioEncoder, ImageEncoder, SkimmingNetwork


@pytest.fixture(scope="module")
def encoders():
    torch.manual_seed(0)
    made = ImageEncoder(0.125), AudioEncoder(0.125, 48)
    for encoder in made:
        # Statistics and scales that differ from their start, as after training.
        for module in encoder.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.running_mean, std=0.3)
                torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return made


@pytest.fixture(scope="module")
def graphs(encoders):
    images, samples = example_inputs(MediaSettings(), 2)
    return to_onnx(encoders[0], images, "images"), to_onnx(encoders[1], samples, "samples")


def test_graphs_equal_pytorch_at_any_batch_size(encoders, graphs):
    for encoder, graph, inputs in zip(encoders, graphs, example_inputs(MediaSettings(), 5), strict=True):
        assert compare(encoder, graph, inputs) < 1e-5


def test_a_graph_of_other_weights_is_refused(encoders, graphs):
    images, _ = example_inputs(MediaSettings(), 2)
    torch.manual_seed(1)
    with pytest.raises(RuntimeError, match="differs from PyTorch"):
        compare(ImageEncoder(0.125).eval(), graphs[0], images)


def test_the_cast_from_bytes_is_the_first_node(graphs):
    model = onnx.load_from_string(graphs[0])
    assert model.graph.node[0].op_type == "Cast"
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    readers = [node for node in model.graph.node if model.graph.input[0].name in node.input]
    assert len(readers) == 1


def test_shapes_are_those_of_the_design(graphs):
    for graph, shape in zip(graphs, ([-1, 112, 112, 3], [-1, 16000]), strict=True):
        model = openvino.Core().read_model(graph)
        found = [d.get_length() if d.is_static else -1 for d in model.input(0).partial_shape]
        assert found == shape


def test_graphs_hold_no_traces_of_their_maker(graphs):
    for graph in graphs:
        assert b".py" not in graph
        assert b"torch.nn" not in graph


def test_skimmer_tensors_are_those_of_a_plan(tmp_path, graphs):
    skimmer = SkimmingNetwork(3, features=12, fusion=20, keys=8, hidden=16)
    tensors = skim_tensors(skimmer)
    document = PlanDocument(classes=("a", "b", "c"))
    graph_names = dict(zip(("image.fp32", "audio.fp32"), graphs, strict=True))
    write_plan(tmp_path / "x.plan", document, graphs=graph_names, skim=tensors)
    plan = read_plan(tmp_path / "x.plan")
    np.testing.assert_array_equal(
        plan.skim["lstm.bias"], (skimmer.lstm.bias_ih + skimmer.lstm.bias_hh).detach().numpy()
    )
    np.testing.assert_array_equal(plan.skim["fusion.1.weight"], skimmer.fusion[1].weight.detach().numpy())
