"""What needs a real GPU: other libraries' arrays, streams, graphs and memory. Not yet run on one."""

import numpy as np
import pytest
from skim_cases import random_batch, reference, worst_error

from l2l_engine import DeviceMemoryError, ops
from l2l_engine.cuda import CudaSkimmer, interpolate

pytestmark = pytest.mark.gpu
SIZES = [(205, 41, 66), (129, 26, 129), (7, 7, 7)]


@pytest.fixture(scope="module")
def batch():
    return random_batch(np.random.default_rng(1), 24, SIZES)


def check(result, batch, weights, steps=5):
    for v, video in enumerate(batch.videos):
        assert worst_error(result.numpy(), v, reference(weights, video, steps)) < 1e-5


def torch_arguments(batch):
    torch = pytest.importorskip("torch")
    lengths = {name: torch.tensor(value).cuda() for name, value in batch.lengths.items()}
    return torch, [torch.from_numpy(array).cuda() for array in batch.arguments], lengths


def test_pytorch_in_and_out(weights, batch):
    torch, arguments, lengths = torch_arguments(batch)
    result = CudaSkimmer(weights, precision="fp32").run(*arguments, 5, **lengths)
    check(result, batch, weights)
    logits = torch.from_dlpack(result.logits)
    assert logits.device.type == "cuda"
    assert np.array_equal(logits.cpu().numpy(), result.numpy().logits)
    assert torch.equal(torch.as_tensor(result.logits, device="cuda"), logits)
    with pytest.raises(ValueError, match=r"^image_bank: .*strided"):
        CudaSkimmer(weights).run(arguments[0].transpose(1, 2).contiguous().transpose(1, 2), *arguments[1:], 5)
    for dtype in (torch.float16, torch.bfloat16):
        halves = [bank.nan_to_num().to(dtype) for bank in arguments[:2]]
        assert CudaSkimmer(weights).run(*halves, *arguments[2:], 5, **lengths).logits.shape == (3, 7)


def test_a_tensor_outlives_what_it_came_from(weights, batch):
    torch, arguments, lengths = torch_arguments(batch)
    skimmer = CudaSkimmer(weights, precision="fp32")
    kept = [torch.from_dlpack(skimmer.run(*arguments, 5, **lengths).logits) for _ in range(50)]
    assert all(torch.equal(kept[0], tensor) for tensor in kept)


def test_cupy_in_and_out(weights, batch):
    cupy = pytest.importorskip("cupy")
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        arguments = [cupy.asarray(array) for array in batch.arguments]
        lengths = {name: cupy.asarray(value) for name, value in batch.lengths.items()}
        result = CudaSkimmer(weights, precision="fp32").run(*arguments, 5, **lengths, stream=stream)
        logits = cupy.from_dlpack(result.logits)
        assert np.array_equal(cupy.asnumpy(logits), cupy.asnumpy(cupy.asarray(result.logits)))
    check(result, batch, weights)


def test_pycuda_in(weights, batch):
    gpuarray = pytest.importorskip("pycuda.gpuarray")
    pytest.importorskip("pycuda.autoprimaryctx")
    arguments = [gpuarray.to_gpu(array) for array in batch.arguments]
    check(CudaSkimmer(weights, precision="fp32").run(*arguments, 5, **batch.lengths), batch, weights)


def test_work_on_one_stream_is_in_order_without_waiting(weights, batch):
    torch, arguments, lengths = torch_arguments(batch)
    skimmer = CudaSkimmer(weights, precision="fp32")
    stream = torch.cuda.Stream()
    bank = torch.empty_like(arguments[0])
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)  # the features come late
        bank.copy_(arguments[0])
        result = skimmer.run(bank, *arguments[1:], 5, **lengths, stream=stream)
        assert not stream.query(), "the call waited for the device"
    check(result, batch, weights)


def test_another_stream_waits_for_the_producer(weights, batch):
    torch, arguments, lengths = torch_arguments(batch)
    skimmer = CudaSkimmer(weights, precision="fp32")
    first, second = torch.cuda.Stream(), torch.cuda.Stream()
    bank = torch.zeros_like(arguments[0])
    torch.cuda.synchronize()
    with torch.cuda.stream(first):
        torch.cuda._sleep(200_000_000)
        bank.copy_(arguments[0])
        result = skimmer.run(bank, *arguments[1:], 5, **lengths, stream=second)  # DLPack tells `first`
    check(result, batch, weights)


@pytest.mark.parametrize("launches", ["one", "many"])
def test_a_run_in_a_cuda_graph(weights, batch, launches):
    torch, arguments, lengths = torch_arguments(batch)
    skimmer = CudaSkimmer(weights, precision="fp32", launches=launches)
    image_knots, audio_knots = (bank.shape[1] for bank in arguments[:2])
    space = skimmer.space(len(SIZES), arguments[4].shape[1], image_knots, audio_knots, 5)
    skimmer.run(*arguments, 5, **lengths, space=space)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        skimmer.run(*arguments, 5, **lengths, space=space, stream=torch.cuda.current_stream())
    logits = torch.from_dlpack(space.result.logits)
    for scale in (1.0, 0.5):
        arguments[0].mul_(scale)
        logits.zero_()
        graph.replay()
        torch.cuda.synchronize()
        again = skimmer.run(*arguments, 5, **lengths).numpy().logits
        assert np.array_equal(logits.cpu().numpy(), again)
        assert np.abs(again).max() > 0


def test_out_of_memory_is_an_error_and_no_more(weights):
    skimmer = CudaSkimmer(weights)
    with pytest.raises(DeviceMemoryError, match="device memory: "):
        skimmer.space(1 << 20, 1 << 14, 1 << 10, 1 << 10, 10)
    times = np.arange(7.0)[None]
    bank = np.ones((1, 7, 24), np.float32)
    assert np.isfinite(skimmer.run(bank, bank, times, times, times, 2).numpy().logits).all()


def test_large_interpolation_equals_the_cpu():
    rng = np.random.default_rng(2)
    features = rng.standard_normal((64, 210, 512)).astype(np.float32)
    timestamps = np.tile(np.arange(1050) * (16 / 30), (64, 1))
    knots = np.ascontiguousarray(timestamps[:, ::5])
    wanted = ops.interpolate(features, knots, timestamps)
    assert np.abs(interpolate(features, knots, timestamps).numpy() - wanted).max() < 1e-6
