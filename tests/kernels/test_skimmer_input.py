"""What the skimmer refuses, and that the message names the argument or tensor at fault."""

import contextlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skim_cases import random_batch, random_weights

from l2l_engine import _native, plan
from l2l_engine.skim import Skimmer

NAMES = ("image_bank", "audio_bank", "image_times", "audio_times", "timestamps", "steps")


@pytest.fixture(scope="module")
def weights():
    return random_weights(np.random.default_rng(0))


@pytest.fixture(scope="module")
def skimmer(weights):
    return Skimmer(weights)


@pytest.fixture
def arguments():
    batch = random_batch(np.random.default_rng(1), 24, [(9, 4, 6)] * 2)
    return dict(zip(NAMES, (*batch.arguments, 3), strict=True))


@pytest.mark.parametrize("name", sorted(random_weights(np.random.default_rng(0))))
def test_each_tensor_is_needed_and_checked(weights, name):
    with pytest.raises(ValueError, match=rf"^{name}: "):
        Skimmer({k: v for k, v in weights.items() if k != name})
    with pytest.raises(ValueError, match=r"^[a-z_0-9.]+: expected"):
        Skimmer({**weights, name: weights[name][:-1]})
    with pytest.raises(ValueError, match=rf"^{name}: expected"):
        Skimmer({**weights, name: weights[name][..., None]})
    spoiled = weights[name].copy()
    spoiled.flat[-1] = np.nan
    with pytest.raises(ValueError, match=rf"^{name}: .*not finite"):
        Skimmer({**weights, name: spoiled})
    with pytest.raises(TypeError, match=rf"^{name}: .*float64"):
        Skimmer({**weights, name: weights[name].astype(np.float64)})


def test_weights_that_do_not_belong(weights):
    with pytest.raises(ValueError, match=r"^extra\.weight: unexpected"):
        Skimmer({**weights, "extra.weight": np.zeros((2, 2), np.float32)})
    visual = random_weights(np.random.default_rng(0), visual_only=True)
    with pytest.raises(ValueError, match=r"^key_audio\.bias: unexpected tensor beside a visual-only"):
        Skimmer({**visual, "key_audio.bias": weights["key_audio.bias"]})
    with pytest.raises(TypeError, match=r"^weights: "):
        Skimmer(list(weights))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^classifier\.weight: expected a non-empty matrix"):
        Skimmer({**weights, "classifier.weight": np.zeros((0, 24), np.float32)})


def test_weights_too_large_for_half_precision(weights):
    large = {**weights, "fusion.1.weight": weights["fusion.1.weight"] + np.float32(1e5)}
    with pytest.raises(ValueError, match=r"^fusion\.1\.weight: .*too large"):
        Skimmer(large, precision="fp16")
    Skimmer(large, precision="bf16")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_tensors_are_taken_as_they_are(weights, arguments, dtype):
    halves = {name: value.astype(dtype) for name, value in weights.items()}
    back = {name: value.astype(np.float32) for name, value in halves.items()}
    assert np.array_equal(Skimmer(halves).run(**arguments).logits, Skimmer(back).run(**arguments).logits)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("precision", "int8", ValueError),
        ("precision", 32, TypeError),
        ("key_activation", "gelu", ValueError),
        ("threads", 0, ValueError),
        ("threads", 1025, ValueError),
        ("instructions", "mmx", ValueError),
        ("threads", 1.5, TypeError),
        ("threads", True, TypeError),
        ("threads", 1 << 40, ValueError),
    ],
)
def test_options(weights, option, value, error):
    with pytest.raises(error, match=f"^{option}: "):
        Skimmer(weights, **{option: value})


def one_nan(array):
    array = array.copy()
    array.flat[1] = np.nan
    return array


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("image_bank", lambda x: x[0], ValueError),
        ("image_bank", lambda x: x[:1], ValueError),
        ("image_bank", lambda x: x[:, :0], ValueError),
        ("image_bank", lambda x: x[..., :-1], ValueError),
        ("image_bank", lambda x: x.astype(np.float64), TypeError),
        ("image_bank", lambda _: None, TypeError),
        ("image_bank", lambda _: "frames", TypeError),
        ("image_bank", lambda _: [[1.0], [1.0, 2.0]], ValueError),
        ("image_bank", one_nan, ValueError),
        ("audio_bank", lambda x: x[:, :, None], ValueError),
        ("audio_times", lambda x: x[:, :-1], ValueError),
        ("audio_times", lambda x: x[:, ::-1], ValueError),
        ("audio_times", lambda x: x * 0, ValueError),
        ("audio_times", one_nan, ValueError),
        ("audio_times", lambda x: x.astype(complex), TypeError),
        ("image_times", lambda x: x + np.inf, ValueError),
        ("image_times", lambda _: None, TypeError),
        ("timestamps", lambda x: x[:, :0], ValueError),
        ("timestamps", lambda x: x[:0], ValueError),
        ("timestamps", lambda x: x[0], ValueError),
        ("timestamps", one_nan, ValueError),
        ("timestamps", lambda x: x > 0, TypeError),
        ("steps", lambda _: 0, ValueError),
        ("steps", lambda _: 1001, ValueError),
        ("steps", lambda _: 1 << 70, ValueError),
        ("steps", lambda _: 2.0, TypeError),
    ],
)
def test_bad_arguments(skimmer, arguments, name, change, error):
    arguments[name] = change(arguments[name])
    with pytest.raises(error, match=f"^{name}: "):
        skimmer.run(**arguments)


def test_plans_and_the_core_allow_as_many_steps(skimmer, arguments):
    # The plan's reader works without the native core, so the number stands in both.
    assert plan.MAX_STEPS == _native.MAX_STEPS
    most = skimmer.run(**{**arguments, "steps": _native.MAX_STEPS})
    assert most.step_logits.shape == (2, _native.MAX_STEPS, 7)
    with pytest.raises(ValueError, match=rf"^steps: .* 1 and {_native.MAX_STEPS}$"):
        skimmer.run(**{**arguments, "steps": _native.MAX_STEPS + 1})


@pytest.mark.parametrize("name", ["lengths", "image_lengths", "audio_lengths"])
def test_bad_lengths(skimmer, arguments, name):
    for value in ([0, 1], [1, 100], [-1, 1], [1], [[1, 1]]):
        with pytest.raises(ValueError, match=f"^{name}: "):
            skimmer.run(**arguments, **{name: np.array(value)})
    for value in ([1.0, 1.0], [True, True], "ab"):
        with pytest.raises(TypeError, match=f"^{name}: "):
            skimmer.run(**arguments, **{name: np.array(value)})


def test_modality(skimmer, arguments):
    with pytest.raises(ValueError, match=r"^modality: "):
        skimmer.run(**arguments, modality="smell")
    visual = Skimmer(random_weights(np.random.default_rng(0), visual_only=True))
    with pytest.raises(ValueError, match=r"^modality: "):
        visual.run(**arguments, modality="audio")
    silent = {**arguments, "audio_bank": None, "audio_times": None}
    with pytest.raises(TypeError, match=r"^audio_bank: "):
        skimmer.run(**silent)
    assert np.array_equal(
        skimmer.run(**silent, modality="image").logits, skimmer.run(**arguments, modality="image").logits
    )


SIZES = st.integers(0, 3)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_shapes_run_or_are_refused(skimmer, data):
    """Whatever the shapes, times and lengths: a result, or an error that names an argument."""
    shape = st.lists(SIZES, min_size=0, max_size=4)
    times = st.floats(allow_nan=True, allow_infinity=True)

    def array(name, rank, dtype):
        plain = data.draw(st.booleans(), f"{name} plain")
        extents = (2, 3, 24)[:rank] if plain else tuple(data.draw(shape, name))
        if dtype == np.float32 or plain:
            return np.ones(extents, dtype) * np.arange(extents[-1] if extents else 1).astype(dtype)
        return np.full(extents, data.draw(times, f"{name} value"), dtype)

    lengths = {
        name: np.array(data.draw(st.lists(st.integers(-1, 4), min_size=1, max_size=3), name))
        for name in data.draw(st.sets(st.sampled_from(["lengths", "image_lengths", "audio_lengths"])))
    }
    names = "|".join((*NAMES, "lengths", "image_lengths", "audio_lengths"))
    with contextlib.ExitStack() as refused:
        refused.enter_context(pytest.raises(ValueError, match=rf"^({names}): "))
        result = skimmer.run(
            array("image_bank", 3, np.float32),
            array("audio_bank", 3, np.float32),
            array("image_times", 2, np.float64),
            array("audio_times", 2, np.float64),
            array("timestamps", 2, np.float64),
            data.draw(st.integers(-1, 4), "steps"),
            **lengths,
            modality=data.draw(st.sampled_from(["both", "image", "audio"])),
        )
        refused.pop_all()
        assert np.isfinite(result.logits).all()
