"""The CUDA side from Python: arrays in and out, streams and captures.

The kernels and bindings are the GPU's, compiled for the host; what needs a real one is in test_cuda_gpu.
"""

import gc
from dataclasses import fields, replace

import ml_dtypes
import numpy as np
import pytest
from device_arrays import ByCapsule, ByInterface, on_device
from skim_cases import reference, worst_error

from l2l_engine import DeviceError, DeviceLostError
from l2l_engine.cuda import CudaSkimmer, interpolate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
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


def test_memory_is_freed_after_all_that_read_it(module):
    """By streams of ours, by a second array on it, or by whoever took it through DLPack."""
    times = ([[0.0, 1.0]], [[0.5]])
    features = np.ones((1, 2, 4), np.float32)

    def second(array):
        interpolate(array, *times, stream=9)

    def wrapped(array):
        interpolate(ByInterface.of(array, stream=6), *times, stream=9)

    def taken(array):
        array.__dlpack__(stream=9)
        array.__dlpack__(stream=9)

    gc.collect()
    before = module.pretended.in_use
    for use in (second, wrapped, taken):
        array = on_device(features, 6)
        use(array)
        del array
        # The last of all: whatever was queued on 9 was so before.
        assert module.pretended.waits[-1] == (6, 9), use.__name__
        assert module.pretended.in_use == before
        module.pretended.waits = []
    for stream, waits in ((6, []), (1, [(6, 0)]), (-1, [])):
        array = on_device(features, 6)
        array.__dlpack__(stream=stream)
        module.pretended.waits = []
        del array
        assert module.pretended.waits == waits


def test_a_space_is_freed_after_the_runs_in_it(module, weights, batch):
    skimmer = CudaSkimmer(weights, precision="fp32")
    space = skimmer.space(3, 9, 4, 6, 3, stream=6)
    result = skimmer.run(*batch.arguments, 3, **batch.lengths, stream=9, space=space)
    gc.collect()
    module.pretended.waits = []
    arrays = 1 + len(fields(result))
    del space, result
    gc.collect()
    assert module.pretended.waits.count((6, 9)) == arrays


def test_what_is_captured_is_the_graphs_owners_affair(module):
    """A capture's stream may be gone long before, and to wait for it would have become part of the graph."""
    array = on_device(np.ones((1, 2, 4), np.float32), 0x55)
    module.pretended.captured = 0x56
    module.await_array(array, module.Stream(0x56, None))
    module.pretended.captured = 0
    module.pretended.waits = []
    del array
    assert not module.pretended.waits


def test_events_are_recorded_on_the_arrays_device(module):
    """An event is of the device that is current when it is made, and a stream takes only its own device's."""
    module.pretended.devices = 2
    stream = module.Stream(9, None)
    array = module.upload(np.ones((1, 2, 4), np.float32), 1, module.Stream(6, None))
    assert array.device == 1
    uses = (
        lambda given: module.await_array(given, stream),
        lambda given: module.from_interface("x", ByInterface.of(given, stream=6), stream),
        lambda given: given.__dlpack__(stream=9),
    )
    for use in uses:
        module.pretended.events = []
        use(array)
        assert module.pretended.events
        assert {device for _, device in module.pretended.events} == {1}
    module.pretended.events = []
    del array
    assert set(module.pretended.events) == {(9, 1)}


class ReadOnly:
    """An array as JAX offers it."""

    def __init__(self, array):
        self._array, self.shape = array, array.shape

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)


@pytest.mark.parametrize("way", ["interface", "DLPack"])
def test_read_only_arrays_are_not_written(module, weights, batch, way):
    features = np.ones((1, 2, 4), np.float32)

    def read_only(array):
        pointer = array.__cuda_array_interface__["data"][0]
        made = ByInterface.of(array, data=(pointer, True))
        if way == "interface":
            return made
        return ReadOnly(module.from_interface("x", made, module.Stream(0, None)))

    given, out = read_only(on_device(features)), read_only(on_device(np.zeros((1, 1, 4), np.float32)))
    assert interpolate(given, [[0.0, 1.0]], [[0.5]]).numpy().tolist() == [[[1.0] * 4]]
    with pytest.raises(ValueError, match=r"^out: is read-only"):
        interpolate(features, [[0.0, 1.0]], [[0.5]], out=out)
    taken = module.from_interface("x", given, module.Stream(0, None)) if way == "interface" else given._array
    assert taken.read_only
    assert taken.__cuda_array_interface__["data"][1] is True
    with pytest.raises(BufferError, match="read-only"):
        taken.__dlpack__()
    skimmer = CudaSkimmer(weights, precision="fp32")
    space = skimmer.space(3, 9, 4, 6, 3)
    locked = module.from_interface(
        "x",
        ByInterface.of(space.workspace, data=(space.workspace.__cuda_array_interface__["data"][0], True)),
        module.Stream(0, None),
    )
    with pytest.raises(ValueError, match=r"^space: is read-only"):
        skimmer.run(*batch.arguments, 3, **batch.lengths, space=replace(space, workspace=locked))


@pytest.mark.parametrize("context", [0, 99])
def test_the_caller_keeps_its_context(module, weights, batch, context):
    """None at all, or one of its own, as ``pycuda.autoinit`` makes it."""
    module.pretended.context = context
    try:
        array = on_device(np.ones((1, 2, 4), np.float32), 6)
        result = interpolate(ByInterface.of(array, stream=6), [[0.0, 1.0]], [[0.5]], stream=9)
        result.__dlpack__(stream=4)
        skimmer = CudaSkimmer(weights, precision="fp32")
        space = skimmer.space(3, 9, 4, 6, 3)
        skimmer.run(*batch.arguments, 3, **batch.lengths, space=space, stream=9).numpy()
        with pytest.raises(ValueError, match=r"^knot_times: "):
            interpolate(array, [[0.0]], [[0.5]])
        del array, result, space, skimmer
        gc.collect()
        assert module.pretended.context == context
    finally:
        module.pretended.context = 0


@pytest.mark.parametrize("maker", [ByInterface, ByCapsule])
def test_memory_of_another_context_is_refused(module, maker):
    features = maker(np.ones((1, 2, 4), np.float32))
    module.pretended.make_foreign(features._array.__cuda_array_interface__["data"][0])
    try:
        with pytest.raises(
            ValueError, match=r"^features: .*context.*pycuda\.autoprimaryctx.*copy on the host"
        ):
            interpolate(features, [[0.0, 1.0]], [[0.5]])
    finally:
        module.pretended.forget_foreign()


@pytest.mark.parametrize("status", [214, 700, 701, 702, *range(710, 720)])
def test_a_sticky_error_is_a_lost_device(module, status):
    array = on_device(np.ones(3, np.float32))
    module.pretended.failing = status
    try:
        with pytest.raises(DeviceLostError, match=rf"\({status}\)"):
            array.numpy()
        module.pretended.failing = 1
        with pytest.raises(DeviceError) as caught:
            array.numpy()
        assert not isinstance(caught.value, DeviceLostError)
    finally:
        module.pretended.failing = 0
