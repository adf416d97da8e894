"""What the CUDA side refuses, and what it says where something is missing."""

import contextlib

import numpy as np
import pytest
from device_arrays import BIG, ByInterface, on_device
from hypothesis import given, settings
from hypothesis import strategies as st
from native_build import cuda_on_host

from l2l_engine import DeviceError, DeviceMemoryError
from l2l_engine.cuda import CudaSkimmer, interpolate, native, why_not
from l2l_engine.skim import Skimmer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAMES = ("image_bank", "audio_bank", "image_times", "audio_times", "timestamps")


def test_out_of_memory(module, weights, batch):
    skimmer = CudaSkimmer(weights)
    module.pretended.most_bytes = module.pretended.in_use + 5000
    with pytest.raises(DeviceMemoryError, match="device memory: "):
        skimmer.run(*batch.arguments, 3, **batch.lengths)
    assert issubclass(DeviceMemoryError, MemoryError)
    module.pretended.most_bytes = BIG
    skimmer.run(*batch.arguments, 3, **batch.lengths)


def test_without_a_device(module, weights):
    module.pretended.missing = "CUDA cannot be used: none here"
    assert why_not() == "CUDA cannot be used: none here"
    with pytest.raises(DeviceError, match="none here"):
        CudaSkimmer(weights)
    with pytest.raises(DeviceError, match="none here"):
        interpolate(np.ones((1, 2, 4), np.float32), [[0.0, 1.0]], [[0.5]])
    module.pretended.missing = ""
    with pytest.raises(DeviceError, match="no GPU 3"):
        CudaSkimmer(weights, device=3)


def test_a_build_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(native, "_NAME", "l2l_engine._not_built")
    assert "this build of l2l_engine has no CUDA side" in why_not()


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("image_bank", lambda x: ByInterface(x[0]), ValueError),
        ("image_bank", lambda x: ByInterface(x[..., :-1]), ValueError),
        ("image_bank", lambda x: ByInterface(x, strides=(8, 4, 4)), ValueError),
        ("image_bank", lambda x: ByInterface(x, mask=x), ValueError),
        ("image_bank", lambda x: ByInterface(x, typestr="<c8"), TypeError),
        ("image_bank", lambda x: ByInterface(x, shape="x"), TypeError),
        ("image_bank", lambda x: ByInterface(x, data=(x.ctypes.data, False)), ValueError),
        ("image_bank", lambda x: on_device(x.astype(np.float64)), TypeError),
        ("image_bank", lambda _: None, TypeError),
        ("audio_bank", lambda x: on_device(x[:1]), ValueError),
        ("audio_times", lambda x: on_device(x.astype(np.float32)), TypeError),
        ("audio_times", lambda x: on_device(x[:, :-1]), ValueError),
        ("audio_times", lambda x: x[:, ::-1], ValueError),
        ("image_times", lambda x: x * np.nan, ValueError),
        ("timestamps", lambda x: on_device(x[0]), ValueError),
        ("timestamps", lambda x: x[:, :0], ValueError),
        ("lengths", lambda _: np.array([1, 2, 100]), ValueError),
        ("lengths", lambda _: on_device(np.ones(2, np.int64)), ValueError),
        ("lengths", lambda _: on_device(np.ones(3)), TypeError),
        ("steps", lambda _: 0, ValueError),
        ("steps", lambda _: 2.5, TypeError),
        ("modality", lambda _: "smell", ValueError),
    ],
)
def test_bad_arguments(module, weights, batch, name, change, error):
    arguments = {**dict(zip(NAMES, batch.arguments, strict=True)), "steps": 3, **batch.lengths}
    arguments[name] = change(arguments.get(name))
    with pytest.raises(error, match=rf"^{name}\b"):
        CudaSkimmer(weights).run(**arguments)


def test_an_array_on_the_host_is_no_device_array(module):
    class OnHost:
        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, **_):
            return np.ones((1, 2, 4), np.float32).__dlpack__()

    with pytest.raises(ValueError, match=r"^features: expected an array on a CUDA device"):
        interpolate(OnHost(), [[0.0, 1.0]], [[0.5]])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_shapes_run_or_are_refused(data):
    """Whatever the shapes, and whatever times and lengths a device holds: a result, or an error."""
    module = cuda_on_host()
    shape = st.lists(st.integers(0, 3), min_size=0, max_size=4)
    times = st.floats(allow_nan=True, allow_infinity=True)
    stream = module.Stream(0, None)

    def array(name, rank, dtype):
        extents = (2, 3, 5)[:rank] if data.draw(st.booleans(), f"{name} plain") else data.draw(shape, name)
        fill = 1.0 if dtype == np.float32 else data.draw(times, f"{name} value")
        return module.upload(np.full(extents, fill, dtype), 0, stream)

    banks = [array(f"bank {m}", 3, np.float32) for m in range(2)]
    knots = [array(f"times {m}", 2, np.float64) for m in range(2)]
    lengths = module.upload(
        np.array(data.draw(st.lists(st.integers(-9, 9), max_size=3)), np.int64), 0, stream
    )
    queries = [module.upload(np.ones((2, 5), np.float32), 0, stream)] * 2
    scores = module.upload(np.ones((2, 2), np.float32), 0, stream)
    arguments = (banks, knots, array("timestamps", 2, np.float64))
    names = "bank|image_bank|audio_bank|(image|audio)_times|timestamps|lengths"
    with contextlib.ExitStack() as refused:
        refused.enter_context(pytest.raises(ValueError, match=rf"^({names}): "))
        module.soft_index(*arguments, queries, scores, [None] * 2, lengths, [None] * 2, "fp32", stream)
        refused.pop_all()


def test_the_cpu_and_the_gpu_side_agree_on_options(module, weights, batch):
    for skimmer in (Skimmer(weights, precision="fp32"), CudaSkimmer(weights, precision="fp32")):
        assert (skimmer.feature_size, skimmer.class_count, skimmer.visual_only) == (24, 7, False)
        assert skimmer.precision == "fp32"
    assert CudaSkimmer(weights).precision == "fp16"
    for option, value, error in (
        ("precision", "int8", ValueError),
        ("launches", "few", ValueError),
        ("device", "0", TypeError),
        ("key_activation", "gelu", ValueError),
    ):
        with pytest.raises(error, match=rf"^{option}\b"):
            CudaSkimmer(weights, **{option: value})
