"""The native skimmer against the unfused float64 reference."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from skim_cases import random_batch, random_weights, reference, worst_error

from l2l_engine.skim import Skimmer

PRESETS = {
    "paper": ({"query_layers": 1}, {}),
    "released": ({"query_layers": 2}, {"key_activation": "relu", "exclude_previous_argmax": True}),
    "paired": ({"paired": True}, {}),
    "deep-affine": ({"query_layers": 2}, {"exclude_previous_argmax": True}),
    "shallow-relu": ({"query_layers": 1}, {"key_activation": "relu"}),
    "paired-relu": ({"paired": True}, {"key_activation": "relu", "exclude_previous_argmax": True}),
}
MIXED = [(7, 3, 5), (1, 1, 1), (2, 2, 1), (21, 21, 4), (13, 1, 40)]


def compare(weights, batch, steps, tolerance=1e-5, modality="both", **settings):
    options = {k: v for k, v in settings.items() if k in ("key_activation", "exclude_previous_argmax")}
    result = Skimmer(weights, **settings).run(*batch.arguments, steps, **batch.lengths, modality=modality)
    for v, video in enumerate(batch.videos):
        expected = reference(weights, video, steps, modality=modality, **options)
        assert worst_error(result, v, expected) < tolerance, f"video {v}"
    return result


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("modality", ["both", "image", "audio"])
@pytest.mark.parametrize("steps", [1, 10])
def test_equals_reference(preset, modality, steps):
    rng = np.random.default_rng(steps)
    layers, settings = PRESETS[preset]
    compare(random_weights(rng, **layers), random_batch(rng, 24, MIXED), steps, modality=modality, **settings)


@pytest.mark.parametrize("preset", PRESETS)
def test_visual_only(preset):
    rng = np.random.default_rng(3)
    layers, settings = PRESETS[preset]
    weights = random_weights(rng, visual_only=True, **layers)
    result = compare(weights, random_batch(rng, 24, MIXED), 5, **settings)
    assert not result.audio_attention.any()
    assert (result.modality_scores == [1, 0]).all()


def test_rows_of_attention_sum_to_one():
    rng = np.random.default_rng(5)
    batch = random_batch(rng, 24, MIXED)
    result = Skimmer(random_weights(rng)).run(*batch.arguments, 4, **batch.lengths)
    for attention in (result.image_attention, result.audio_attention, result.modality_scores):
        assert np.abs(attention.sum(-1) - 1).max() < 1e-5


def test_exclusion_never_repeats_until_all_are_masked():
    rng = np.random.default_rng(6)
    weights = random_weights(rng)
    batch = random_batch(rng, 24, [(4, 4, 2)])
    result = compare(weights, batch, 9, exclude_previous_argmax=True)
    chosen = result.image_attention[0].argmax(-1)
    assert sorted(chosen[:4]) == sorted(chosen[4:8]) == [0, 1, 2, 3]
    assert result.image_attention[0, 3].max() == 1  # only one was left
    free = Skimmer(weights).run(*batch.arguments, 9, **batch.lengths).image_attention[0].argmax(-1)
    assert len(set(free[:4])) < 4, "these weights would not have repeated anyway"


def test_exclusion_takes_the_lowest_index_among_equals():
    # One knot: all moments have the same score at every step, so they are masked from the left.
    rng = np.random.default_rng(7)
    batch = random_batch(rng, 24, [(5, 1, 1)])
    attention = compare(random_weights(rng), batch, 7, exclude_previous_argmax=True).image_attention[0]
    assert [int((row == 0).sum()) for row in attention] == [0, 1, 2, 3, 4, 0, 1]
    assert all(not row[:t].any() for t, row in enumerate(attention[:5]))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_video_does_not_depend_on_its_batch(precision, paired):
    rng = np.random.default_rng(8)
    weights, batch = random_weights(rng, paired=paired), random_batch(rng, 24, MIXED * 3)
    skimmer = Skimmer(weights, precision=precision, exclude_previous_argmax=True)
    together = skimmer.run(*batch.arguments, 6, **batch.lengths)
    for v, ((image, image_times), (audio, audio_times), timestamps) in enumerate(batch.videos):
        n = len(timestamps)
        alone = skimmer.run(
            image[None], audio[None], image_times[None], audio_times[None], timestamps[None], 6
        )
        assert np.array_equal(alone.logits[0], together.logits[v])
        assert np.array_equal(alone.image_attention[0], together.image_attention[v, :, :n])
        assert np.array_equal(alone.audio_attention[0], together.audio_attention[v, :, :n])


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_same_bits_from_many_threads(precision, paired):
    rng = np.random.default_rng(9)
    weights, batch = random_weights(rng, paired=paired), random_batch(rng, 24, MIXED)
    skimmer = Skimmer(weights, precision=precision, threads=4)
    wanted = Skimmer(weights, precision=precision, threads=1).run(*batch.arguments, 10, **batch.lengths)
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(skimmer.run, *batch.arguments, 10, **batch.lengths) for _ in range(64)]
    for run in runs:
        assert np.array_equal(run.result().logits, wanted.logits)
        assert np.array_equal(run.result().image_attention, wanted.image_attention)
        assert np.array_equal(run.result().step_features, wanted.step_features)


def test_fewer_steps_are_a_prefix():
    rng = np.random.default_rng(10)
    weights, batch = random_weights(rng), random_batch(rng, 24, MIXED)
    skimmer = Skimmer(weights)
    long, short = (skimmer.run(*batch.arguments, steps, **batch.lengths) for steps in (10, 3))
    assert np.array_equal(long.step_features[:, :3], short.step_features)
    assert np.array_equal(long.image_attention[:, :3], short.image_attention)
    assert np.array_equal(long.step_logits[:, :3], short.step_logits)


@pytest.mark.parametrize("instructions", ["portable", "auto"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_step_logits_are_the_logits_of_fewer_steps(precision, instructions):
    rng = np.random.default_rng(14)
    weights, batch = random_weights(rng), random_batch(rng, 24, MIXED)
    skimmer = Skimmer(weights, precision=precision, instructions=instructions, threads=2)
    step_logits = skimmer.run(*batch.arguments, 10, **batch.lengths).step_logits
    assert step_logits.shape == (len(MIXED), 10, 7)
    for steps in range(1, 11):
        fewer = skimmer.run(*batch.arguments, steps, **batch.lengths)
        assert np.array_equal(fewer.logits, step_logits[:, steps - 1]), "not to the bit"


def test_timestamps_in_any_order():
    rng = np.random.default_rng(12)
    weights, batch = random_weights(rng), random_batch(rng, 24, [(30, 7, 9)])
    image, audio, image_times, audio_times, timestamps = batch.arguments
    order = rng.permutation(30)
    batch.arguments = (image, audio, image_times, audio_times, timestamps[:, order])
    batch.videos = [(*batch.videos[0][:2], timestamps[0, order])]
    compare(weights, batch, 5)


FORKING = """
import os, sys, warnings
sys.path.append(sys.argv[1])
import numpy as np
from skim_cases import random_batch, random_weights
from l2l_engine.skim import Skimmer
warnings.simplefilter("ignore")
rng = np.random.default_rng(13)
skimmer, batch = Skimmer(random_weights(rng), threads=2), random_batch(rng, 24, [(30, 7, 9)])
wanted = skimmer.run(*batch.arguments, 5).logits
child = os.fork()
if child == 0:
    same = np.array_equal(skimmer.run(*batch.arguments, 5).logits, wanted)
    del skimmer
    os._exit(0 if same else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_works_alone_and_does_not_hang():
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", FORKING, here], check=True, timeout=100)
