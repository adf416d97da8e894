"""The CUDA side from Python: arrays in and out, streams and captures.

The kernels and bindings are the GPU's, compiled for the host; what needs a real one is in test_cuda_gpu.
"""

import gc

import ml_dtypes
import numpy as np
import pytest
from device_arrays import ByCapsule, ByInterface, on_device
from skim_cases import reference, worst_error

from l2l_engine import DeviceError
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
