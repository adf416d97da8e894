"""The CUDA side from Python: arrays in and out, streams, memory and errors.

The kernels and bindings are the GPU's, compiled for the host; what needs a real one is in test_cuda_gpu.
"""

import contextlib
import gc
import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_build import cuda_on_host
from skim_cases import random_batch, random_weights, reference, worst_error

from l2l_engine import DeviceError, DeviceMemoryError, ops
from l2l_engine.cuda import CudaSkimmer, interpolate, native, soft_index, why_not
from l2l_engine.skim import Skimmer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SIZES = [(9, 4, 6), (5, 1, 5), (1, 1, 1)]
NAMES = ("image_bank", "audio_bank", "image_times", "audio_times", "timestamps")
BIG = (1 << 64) // 4


@pytest.fixture
def module(monkeypatch):
    module = cuda_on_host()
    monkeypatch.setattr(native, "module", lambda: module)
    module.pretended.waits = []
    yield module
    module.pretended.missing, module.pretended.captured, module.pretended.most_bytes = "", 0, BIG


@pytest.fixture(scope="module")
def weights():
    return random_weights(np.random.default_rng(0))


@pytest.fixture(scope="module")
def batch():
    return random_batch(np.random.default_rng(1), 24, SIZES)


def on_device(array, stream=0):
    module = native.module()
    return module.upload(np.ascontiguousarray(array), 0, module.Stream(stream, None))


class ByInterface:
    """An array as PyCUDA offers it."""

    def __init__(self, array, **changes):
        self._array = on_device(array)
        self.__cuda_array_interface__ = {**self._array.__cuda_array_interface__, "stream": None, **changes}


class ByCapsule:
    """An array as PyTorch offers it, of an old or a new version of DLPack."""

    def __init__(self, array, *, old=False):
        self._array, self._old, self.asked = on_device(array), old, []

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, *, stream=None, **options):
        if self._old and options:
            raise TypeError("unexpected argument")
        self.asked.append(stream)
        return self._array.__dlpack__(stream=-1, **options)


MAKERS = {
    "NumPy": lambda x: x,
    "own": on_device,
    "interface": ByInterface,
    "DLPack 1": ByCapsule,
    "DLPack 0": lambda x: ByCapsule(x, old=True),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_the_skimmer_takes_arrays_of_any_maker(module, weights, batch, maker):
    skimmer = CudaSkimmer(weights, precision="fp32")
    arguments = [MAKERS[maker](array) for array in batch.arguments]
    lengths = {name: MAKERS[maker](value.astype(np.int64)) for name, value in batch.lengths.items()}
    result = skimmer.run(*arguments, 3, **lengths)
    assert result.logits.shape == (3, 7)
    for v, video in enumerate(batch.videos):
        assert worst_error(result.numpy(), v, reference(weights, video, 3)) < 1e-5


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


def test_an_array_of_another_stream_is_waited_for(module):
    arguments = ([[0.0, 1.0]], [[0.5]])
    features = np.ones((1, 2, 4), np.float32)
    for ready, number in ((5, 5), (1, 0), (2, 2)):
        module.pretended.waits = []
        interpolate(ByInterface(features, stream=ready), *arguments, stream=9)
        assert (9, number) in module.pretended.waits
    with pytest.raises(ValueError, match=r"^features: stream 0 is ambiguous"):
        interpolate(ByInterface(features, stream=0), *arguments)
    module.pretended.waits = []
    interpolate(ByInterface(features, stream=9), *arguments, stream=9)
    assert not module.pretended.waits
    interpolate(on_device(features, 6), *arguments, stream=9)
    assert (9, 6) in module.pretended.waits


def test_a_producer_is_told_the_stream(module):
    features = ByCapsule(np.ones((1, 2, 4), np.float32))
    for stream, told in ((None, 1), (0, 1), (2, 2), (77, 77)):
        interpolate(features, [[0.0, 1.0]], [[0.5]], stream=stream)
        assert features.asked[-1] == told


def test_a_consumer_is_made_to_wait(module):
    array = on_device(np.ones(3, np.float32), 6)
    for asked, waits in ((None, [(0, 6)]), (1, [(0, 6)]), (8, [(8, 6)]), (6, []), (-1, [])):
        module.pretended.waits = []
        array.__dlpack__(stream=asked)
        assert module.pretended.waits == waits
    assert array.__cuda_array_interface__["stream"] == 6
    assert on_device(np.ones(3, np.float32)).__cuda_array_interface__["stream"] == 1
    with pytest.raises(ValueError, match=r"^stream: "):
        array.__dlpack__(stream=0)
    with pytest.raises(BufferError, match="copy"):
        array.__dlpack__(copy=True)
    with pytest.raises(BufferError, match="dl_device"):
        array.__dlpack__(dl_device=(1, 0))


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (2, 1)])
@pytest.mark.parametrize(
    "dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64, np.int64, np.bool_]
)
def test_a_capsule_holds_its_memory_as_long_as_it_is_used(module, version, dtype):
    gc.collect()
    before = module.pretended.in_use
    values = np.arange(6).reshape(2, 3).astype(dtype)
    array = on_device(values)
    capsule = array.__dlpack__(max_version=version)
    taken = module.from_capsule("x", capsule, module.Stream(0, None))
    with pytest.raises(TypeError, match=r"^x: .*no unused DLPack capsule"):
        module.from_capsule("x", capsule, module.Stream(0, None))
    del array, capsule
    assert taken.shape == (2, 3)
    assert np.array_equal(taken.numpy(), values)
    unused = taken.__dlpack__(max_version=version)
    del taken
    assert module.pretended.in_use > before
    del unused
    assert module.pretended.in_use == before


def test_a_run_leaves_no_memory_behind_and_waits_for_nothing(module, weights, batch):
    gc.collect()
    before = module.pretended.in_use
    waited = module.pretended.synchronised
    result = CudaSkimmer(weights).run(*batch.arguments, 3, **batch.lengths, stream=4)
    assert module.pretended.synchronised == waited
    assert result.logits.stream.handle == 4
    del result
    gc.collect()
    assert module.pretended.in_use == before


def test_out_of_memory(module, weights, batch):
    skimmer = CudaSkimmer(weights)
    module.pretended.most_bytes = module.pretended.in_use + 5000
    with pytest.raises(DeviceMemoryError, match="device memory: "):
        skimmer.run(*batch.arguments, 3, **batch.lengths)
    assert issubclass(DeviceMemoryError, MemoryError)
    module.pretended.most_bytes = BIG
    skimmer.run(*batch.arguments, 3, **batch.lengths)


def test_while_a_stream_is_captured_nothing_is_allocated(module, weights, batch):
    skimmer = CudaSkimmer(weights, precision="fp32")
    arguments = [on_device(array, 0x55) for array in batch.arguments]
    lengths = {name: on_device(value.astype(np.int64), 0x55) for name, value in batch.lengths.items()}
    space = skimmer.space(3, 9, 4, 6, 3)
    module.pretended.waits = []
    module.pretended.captured = 0x55
    with pytest.raises(DeviceError, match=r"^stream: .*space"):
        skimmer.run(*arguments, 3, **lengths, stream=0x55)
    with pytest.raises(DeviceError, match=r"^stream: .*device arrays"):
        skimmer.run(*batch.arguments, 3, **lengths, stream=0x55, space=space)
    before = module.pretended.in_use
    assert skimmer.run(*arguments, 3, **lengths, stream=0x55, space=space) is space.result
    assert module.pretended.in_use == before
    assert not module.pretended.waits, "a captured stream cannot wait for what is outside of its graph"
    module.pretended.captured = 0
    fresh = skimmer.run(*arguments, 3, **lengths).numpy()
    assert np.array_equal(space.result.numpy().logits, fresh.logits)
    with pytest.raises(ValueError, match=r"^space: "):
        skimmer.run(*arguments, 4, **lengths, space=space)


def test_streams_of_other_libraries(module):
    class Torch:
        cuda_stream = 11

    class CuPy:
        ptr = 12

    class PyCuda:
        handle = 13

    class Protocol:
        def __cuda_stream__(self):
            return (0, 14)

    arguments = (np.ones((1, 2, 4), np.float32), [[0.0, 1.0]], [[0.5]])
    for stream, handle in ((Torch(), 11), (CuPy(), 12), (PyCuda(), 13), (Protocol(), 14), (15, 15), (1, 0)):
        assert interpolate(*arguments, stream=stream).stream.handle == handle
    for wrong, error in ((object(), TypeError), (1.5, TypeError), (True, TypeError), (-3, ValueError)):
        with pytest.raises(error, match=r"^stream: "):
            interpolate(*arguments, stream=wrong)


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
    with pytest.raises(error, match=f"^{name}: "):
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
        with pytest.raises(error, match=f"^{option}: "):
            CudaSkimmer(weights, **{option: value})
