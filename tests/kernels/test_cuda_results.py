"""What the CUDA side computes, beside the readable reference: its kernels, compiled for the host."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from device_arrays import ByInterface, on_device
from skim_cases import random_batch, random_weights, reference, worst_error

from l2l_engine import ops
from l2l_engine.cuda import CudaSkimmer, interpolate, soft_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_features(module, weights, batch, dtype):
    skimmer = CudaSkimmer(weights, precision="fp32")
    halves = [on_device(array.astype(dtype)) for array in batch.arguments[:2]]
    back = [array.astype(dtype).astype(np.float32) for array in batch.arguments[:2]]
    got, wanted = (
        skimmer.run(*banks, *batch.arguments[2:], 2, **batch.lengths).numpy() for banks in (halves, back)
    )
    assert np.array_equal(got.logits, wanted.logits)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize(("launches", "project"), list(itertools.product(["one", "many"], [True, False])))
def test_a_video_does_not_depend_on_its_batch(module, weights, batch, precision, launches, project):
    skimmer = CudaSkimmer(
        weights, precision=precision, launches=launches, project=project, exclude_previous_argmax=True
    )
    together = skimmer.run(*batch.arguments, 4, **batch.lengths).numpy()
    for attention in (together.image_attention, together.audio_attention, together.modality_scores):
        assert np.abs(attention.sum(-1) - 1).max() < 1e-5
    for v, ((image, image_times), (audio, audio_times), timestamps) in enumerate(batch.videos):
        rows = (x[None] for x in (image, audio, image_times, audio_times, timestamps))
        alone = skimmer.run(*rows, 4).numpy()
        assert np.array_equal(alone.logits[0], together.logits[v])
        assert np.array_equal(alone.image_attention[0], together.image_attention[v, :, : len(timestamps)])
        assert np.array_equal(alone.step_features[0], together.step_features[v])


@pytest.mark.parametrize("project", [True, False])
def test_step_logits_are_the_logits_of_fewer_steps(module, weights, batch, project):
    skimmer = CudaSkimmer(weights, precision="fp16", project=project)
    step_logits = skimmer.run(*batch.arguments, 3, **batch.lengths).numpy().step_logits
    assert step_logits.shape == (3, 3, 7)
    for steps in (1, 2, 3):
        fewer = skimmer.run(*batch.arguments, steps, **batch.lengths).numpy()
        assert np.array_equal(fewer.logits, step_logits[:, steps - 1]), "not to the bit"


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("modality", ["both", "image", "audio"])
def test_modalities(module, batch, modality, layers):
    weights = random_weights(np.random.default_rng(2), query_layers=layers)
    for project in (True, False):
        skimmer = CudaSkimmer(weights, precision="fp32", project=project, key_activation="relu")
        result = skimmer.run(*batch.arguments, 3, **batch.lengths, modality=modality).numpy()
        for v, video in enumerate(batch.videos):
            expected = reference(weights, video, 3, modality=modality, key_activation="relu")
            assert worst_error(result, v, expected) < 1e-5


def test_visual_only(module, batch):
    weights = random_weights(np.random.default_rng(3), visual_only=True)
    result = CudaSkimmer(weights, precision="fp32").run(*batch.arguments, 3, **batch.lengths).numpy()
    for v, video in enumerate(batch.videos):
        assert worst_error(result, v, reference(weights, video, 3)) < 1e-5


def test_exclusion_until_all_are_masked(module, weights):
    batch = random_batch(np.random.default_rng(6), 24, [(4, 4, 2)])
    for launches in ("one", "many"):
        skimmer = CudaSkimmer(weights, precision="fp32", launches=launches, exclude_previous_argmax=True)
        result = skimmer.run(*batch.arguments, 9, **batch.lengths).numpy()
        expected = reference(weights, batch.videos[0], 9, exclude_previous_argmax=True)
        assert worst_error(result, 0, expected) < 1e-5


def test_interpolate_and_the_dispatch_by_array(module):
    rng = np.random.default_rng(4)
    features = rng.standard_normal((2, 5, 12)).astype(np.float32)
    knots = np.sort(rng.uniform(0, 9, (2, 5)), 1)
    timestamps = rng.uniform(-1, 10, (2, 8))
    wanted = ops.interpolate(features, knots, timestamps)
    got = ops.interpolate(on_device(features), knots, timestamps)
    assert isinstance(got, module.DeviceArray)
    assert np.abs(got.numpy() - wanted).max() < 1e-6
    out = on_device(np.zeros_like(wanted))
    assert interpolate(ByInterface(features), knots, timestamps, out=out) is out
    assert np.array_equal(out.numpy(), got.numpy())


@pytest.mark.parametrize("scores", [(0.25, 0.75), (-3.0, 5.0), (0.0, 0.0)])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_soft_index(module, batch, scores, precision):
    rng = np.random.default_rng(5)
    options = {
        "image_query": rng.standard_normal((3, 24)).astype(np.float32),
        "audio_query": rng.standard_normal((3, 24)).astype(np.float32),
        "modality_scores": np.tile(np.float32(scores), (3, 1)),
        "image_excluded": rng.uniform(size=(3, 9)) < 0.3,
        **batch.lengths,
    }
    wanted = ops.soft_index(*batch.arguments, **options, precision=precision, instructions="portable")
    for got in (
        soft_index(*batch.arguments, **options, precision=precision),
        ops.soft_index(on_device(batch.arguments[0]), *batch.arguments[1:], **options, precision=precision),
    ):
        for name in ("image_features", "audio_features", "image_attention", "audio_attention"):
            assert np.abs(getattr(got, name).numpy() - getattr(wanted, name)).max() < 2e-5
