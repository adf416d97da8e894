"""The authors' published modules through a plan: their outputs from their weights."""

from dataclasses import replace

import numpy as np
import onnx
import openvino
import pytest
import torch
from onnx.utils import Extractor

from l2l_engine import Classifier
from l2l_engine.loading import load_skimmer
from l2l_engine.plan import read_plan, write_plan
from tests.shared import shared_files
from tests.training.released.published import checkpoint
from training.__main__ import main

FILES = {path.name: path for path in shared_files("released")}
if not FILES:
    pytest.skip("the released modules' reference outputs are not here", allow_module_level=True)

GOLDEN = ("golden_exclude.npz", "golden_repeat.npz")
TOLERANCE = 1e-4


def shapes():
    for line in FILES["keys.txt"].read_text().splitlines():
        name, shape = line.split(" ", 1)
        yield name, tuple(int(n) for n in shape.strip("[]").split(",") if n.strip())


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """The checkpoint as the command imports it."""
    folder = tmp_path_factory.mktemp("released")
    torch.save({"state_dict": {f"module.{k}": v for k, v in checkpoint(shapes()).items()}}, folder / "x.pth")
    main(["import-released", "--checkpoint", str(folder / "x.pth"), "--output", str(folder / "x.plan")])
    return read_plan(folder / "x.plan")


@pytest.fixture(scope="module", params=GOLDEN)
def golden(request, plan):
    """Reference outputs, and the path of the plan with their setting."""
    with np.load(FILES[request.param]) as file:
        wanted = dict(file)
    excluding = bool(wanted["exclude_previous_argmax"])
    skim = replace(plan.document.skim, exclude_previous_argmax=excluding)
    path = plan.path.with_name(f"{excluding}.plan")
    write_plan(path, replace(plan.document, skim=skim), graphs=plan.graphs, skim=plan.skim)
    return wanted, path


def assert_near(ours, theirs):
    assert np.abs(np.asarray(ours) - theirs).max() < TOLERANCE


def behind_the_pre_processing(graph, channels):
    """The part of a plan's graph that the reference inputs enter: from the stem's convolution on."""
    model = onnx.load_from_string(graph)
    sizes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    stem = next(
        node
        for node in model.graph.node
        if node.op_type == "Conv" and sizes[node.input[1]] == [64, channels, 7, 7]
    )
    part = Extractor(model).extract_model([stem.input[0]], ["features"])
    core = openvino.Core()
    return core.compile_model(
        core.read_model(part.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )


@pytest.mark.parametrize(("part", "channels"), [("image", 3), ("audio", 1)])
def test_the_plans_graphs_give_the_features_of_the_streams(golden, plan, part, channels):
    wanted, _ = golden
    network = behind_the_pre_processing(plan.graphs[f"{part}.fp32"], channels)
    assert_near(network([wanted[f"{part}_input"]])[0], wanted[f"{part}_feature"])


def test_a_pair_gives_the_fused_feature_and_the_clips_logits(golden):
    wanted, path = golden
    pairs = wanted["image_feature"][:, None], wanted["audio_feature"][:, None]
    start = np.zeros((2, 1))
    result = load_skimmer(read_plan(path), 1).run(*pairs, start, start, start, 1)
    assert_near(result.step_features[:, 0], wanted["fused_feature"])
    assert_near(result.logits, wanted["clip_logits"])


def test_the_classifier_gives_their_attention_scores_and_classes(golden):
    wanted, path = golden
    steps = int(wanted["steps"])
    with Classifier(path, precision="fp32") as classifier:
        for video in range(len(wanted["image_bank"])):
            banks = wanted["image_bank"][video], wanted["audio_bank"][video]
            prediction = classifier.predict_features(*banks, steps=steps)
            logits = wanted["video_logits"][video].astype(np.float64)
            assert_near(np.log(prediction.probabilities), logits - np.logaddexp.reduce(logits))
            assert len(prediction.moments) == steps - 1
            for step, moment in enumerate(prediction.moments):
                for name in ("image_attention", "audio_attention", "modality_scores"):
                    assert_near(getattr(moment, name), wanted[name][video, step])


def test_every_step_of_the_skimmer(golden):
    wanted, path = golden
    b, n, _ = wanted["image_bank"].shape
    times = np.tile(np.arange(n) * (16 / 30), (b, 1))
    banks = wanted["image_bank"], wanted["audio_bank"]
    result = load_skimmer(read_plan(path), 2).run(*banks, times, times, times, int(wanted["steps"]))
    assert_near(result.logits, wanted["video_logits"])
    for name in ("image_attention", "audio_attention", "modality_scores", "step_features"):
        assert_near(getattr(result, name), wanted[name])
