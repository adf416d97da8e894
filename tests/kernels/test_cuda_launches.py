"""How the CUDA side launches its kernels: in how many blocks, with which weights on the chip."""

import numpy as np
import pytest
from device_arrays import on_device
from skim_cases import Dims, random_batch, random_weights, reference, worst_error

from l2l_engine import DeviceError
from l2l_engine.cuda import CudaSkimmer, gather, why_not

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAPER = Dims(512, 1024, 1024, 512, 400)
NARROW = (1, 205, 41, 41, 10)
"""B, N, image and audio knots, T: the sizes that docs/gpu.md speaks of."""

# Processors; KiB of shared memory that a block may have (compute capability 7.5: 64, 8.0: 163, 9.0 and 10.0:
# 227, others 99); and of the rows of the LSTM's gates that a block owns, those that fit behind
# its scratch, 16 KiB each.
GPUS = {
    "T4": (40, 64, (3, 26)),
    "A100": (108, 163, (9, 10)),  # all ten but for 128 bytes
    "A10": (72, 99, (5, 15)),
    "L4": (58, 99, (5, 18)),
    "L40S": (142, 99, (5, 8)),
    "GeForce RTX 4090": (128, 99, (5, 8)),
    "H100 PCIe": (114, 227, (9, 9)),
    "H100 SXM": (132, 227, (8, 8)),
    "H200": (132, 227, (8, 8)),
    "B200": (148, 227, (7, 7)),
    "GeForce RTX 5090": (170, 99, (5, 7)),
    "RTX PRO 6000": (188, 99, (5, 6)),  # all six but for 128 bytes
}


@pytest.fixture
def pretend(module):
    """Another device, of some processors and KiB of shared memory a block."""

    def room(processors, kib, threads=512, blocks=1):
        module.pretend_room(processors, kib * 1024, threads, blocks)

    yield room
    module.pretend_room(2, 1 << 20, 64, 1)
    module.shuffle_threads(0)


@pytest.fixture(scope="module")
def paper_weights():
    return random_weights(np.random.default_rng(0), PAPER)


@pytest.fixture
def paper_skimmer(module, paper_weights):
    return CudaSkimmer(paper_weights, precision="fp16")._native


def test_weights_are_kept_as_far_as_they_fit(paper_skimmer, pretend):
    for name, (processors, kib, kept) in GPUS.items():
        pretend(processors, kib)
        found = paper_skimmer.launch_for(*NARROW, None, None)
        assert (found["persistent"], found["projected"]) == (True, True), name
        assert found["blocks"] == processors, name
        assert found["rows_kept"] == kept, name


def test_a_plain_grid_is_what_is_at_work_at_once(paper_skimmer, pretend):
    """512 threads of 128 registers: one block a processor, not four."""
    for processors, blocks in ((132, 1), (132, 2), (108, 1)):
        pretend(processors, 163, blocks=blocks)
        found = paper_skimmer.launch_for(32, 1050, 210, 210, 10, None, None)
        assert (found["persistent"], found["blocks"]) == (False, processors * blocks)
    pretend(132, 163, blocks=0)
    with pytest.raises(ValueError, match="no room for a block"):
        paper_skimmer.launch_for(*NARROW, False, None)


@pytest.mark.parametrize(
    ("batch", "knots", "steps", "projected"),
    [
        (1, 41, 10, True),  # 164 rows for ten steps
        (1, 41, 3, False),  # the same for three
        (1, 210, 10, False),  # 840 rows: at 4d1e144 up to 1,024 were taken for any number of steps
        (1, 210, 60, True),
        (2, 41, 10, False),
    ],
)
def test_projecting_pays_by_rows_and_steps(paper_skimmer, pretend, batch, knots, steps, projected):
    pretend(132, 227)
    found = paper_skimmer.launch_for(batch, 5 * knots, knots, knots, steps, None, None)
    assert found["projected"] == projected


def test_without_code_for_a_gpu_the_answer_is_no(module):
    assert why_not() is None
    module.pretended.has_code = False
    try:
        with pytest.raises(DeviceError, match="no code for"):
            on_device_skimmer()
        assert "no code for the host, pretending (compute capability 7.0)" in why_not()
        assert "-DCMAKE_CUDA_ARCHITECTURES=70" in why_not()
    finally:
        module.pretended.has_code = True


def on_device_skimmer():
    return CudaSkimmer(random_weights(np.random.default_rng(0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("size", [24, 37])
def test_gather_copies_rows(module, dtype, size):
    """To the bit, whatever they hold: between two infinite rows an interpolation finds NaN."""
    rows = np.random.default_rng(1).standard_normal((2, 5, size)).astype(dtype)
    rows[0, 3] = np.inf
    order = np.array([[3, 0, 3, 4, 1, 2], [4, 4, 0, 1, 3, 2]])
    out = on_device(np.zeros((2, 6, size), np.float32))
    assert gather(on_device(rows), on_device(order), out=out) is out
    assert np.array_equal(out.numpy(), np.take_along_axis(rows, order[..., None], 1).astype(np.float32))
    gather(on_device(rows), on_device(order + 1_000_000), out=out)
    assert np.array_equal(out.numpy(), np.repeat(rows[:, -1:], 6, 1).astype(np.float32)), "the nearest"
    gather(on_device(rows), on_device(-order - (1 << 40)), out=out)
    assert np.array_equal(out.numpy(), np.repeat(rows[:, :1], 6, 1).astype(np.float32))


def test_gather_refuses(module):
    rows, out = on_device(np.zeros((1, 5, 4), np.float32)), on_device(np.zeros((1, 2, 4), np.float32))
    with pytest.raises(ValueError, match=r"^order: a value is not between 0 and 4"):
        gather(rows, np.array([[0, 5]]), out=out)
    with pytest.raises(TypeError, match=r"^order: expected int64"):
        gather(rows, on_device(np.zeros((1, 2))), out=out)
    with pytest.raises(ValueError, match=r"^out: expected shape"):
        gather(rows, np.array([[0, 1, 2]]), out=out)


@pytest.mark.parametrize("launches", ["one", "many"])
@pytest.mark.parametrize("project", [True, False])
def test_phases_are_timed(module, weights, launches, project):
    batch = random_batch(np.random.default_rng(3), 24, [(9, 4, 6)])
    skimmer = CudaSkimmer(weights, precision="fp32", launches=launches, project=project)
    space = skimmer.space(1, 9, 4, 6, 2)
    times = skimmer.phase_times(*batch.arguments, 2, space=space)
    step = (
        ["fuse_projected", "cell", "score"] if project else ["mix", "index", "fuse", "cell", "ask", "score"]
    )
    before = ["keep", "prepare", "project"] if project else ["keep", "prepare"]
    assert [time.phase for time in times] == before + 2 * step + ["finish"]
    steps = [None] * len(before) + [0] * len(step) + [1] * len(step) + [None]
    assert [time.step for time in times] == steps
    # The pretended clock ticks once a reading: nothing ends before it begins.
    assert times[0].waited_us == 0
    assert all(time.worked_us > 0 for time in times)
    assert all(time.waited_us > 0 for time in times[2:])
    untimed = skimmer.run(*batch.arguments, 2).numpy()
    assert np.array_equal(space.result.numpy().logits, untimed.logits)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("launches", ["one", "many"])
def test_the_order_of_threads_does_not_matter(module, weights, batch, pretend, launches, seed):
    """To the bit, in whichever order threads and blocks come to their work."""
    for project in (True, False):
        skimmer = CudaSkimmer(weights, precision="fp16", launches=launches, project=project)
        wanted = skimmer.run(*batch.arguments, 3, **batch.lengths).numpy()
        module.shuffle_threads(seed)
        got = skimmer.run(*batch.arguments, 3, **batch.lengths).numpy()
        module.shuffle_threads(0)
        for name in ("logits", "image_attention", "audio_attention", "step_features"):
            assert np.array_equal(getattr(got, name), getattr(wanted, name)), name


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [0, 4])
def test_parity_at_the_size_of_a_gpu(module, pretend, seed):
    """132 blocks of 512 threads in one cooperative launch; then in a shuffled order."""
    pretend(132, 227)
    module.shuffle_threads(seed)
    weights = random_weights(np.random.default_rng(5), Dims(70, 130, 150, 33, 5))
    batch = random_batch(np.random.default_rng(6), 70, [(129, 26, 60)])
    skimmer = CudaSkimmer(weights, precision="fp32", launches="one")
    found = skimmer._native.launch_for(1, 129, 26, 60, 3, True, None)
    assert (found["blocks"], found["threads"]) == (132, 512)
    result = skimmer.run(*batch.arguments, 3, **batch.lengths).numpy()
    assert worst_error(result, 0, reference(weights, batch.videos[0], 3)) < 1e-5
