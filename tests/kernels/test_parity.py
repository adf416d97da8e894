"""Every device, instruction set, precision and preset on awkward sizes, against the float64 reference."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest
from native_build import cuda_on_host
from skim_cases import Dims, errors, random_batch, random_weights, reference

from l2l_engine.cuda import CudaSkimmer, native
from l2l_engine.skim import Skimmer

INSTRUCTIONS = ("portable", "avx2", "avx512", "avx512_bf16")
DEVICES = (
    *INSTRUCTIONS,
    pytest.param("cuda-on-host", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    pytest.param("cuda", marks=pytest.mark.gpu),
)
STORED = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16}
PAPER = {"query_layers": 1}, {}
RELEASED = {"query_layers": 2}, {"key_activation": "relu", "exclude_previous_argmax": True}
PAIRED = {"paired": True}, {}
ODD = Dims(features=70, fused=130, state=90, keys=33, classes=5)
EVEN = Dims(features=64, fused=128, state=64, keys=64, classes=64)
TINY = Dims(features=3, fused=5, state=2, keys=1, classes=1)


@dataclasses.dataclass(frozen=True)
class Case:
    dims: Dims
    preset: tuple
    sizes: tuple
    steps: int
    on_timestamps: bool = False


CASES = {
    "one": Case(ODD, PAPER, ((1, 1, 1),), 10),
    # Enough videos that the plain implementation's largest error is no accident.
    "two": Case(TINY, PAPER, ((2, 1, 2), (7, 7, 3), (1, 1, 1)) * 4, 10),
    "seven-released": Case(ODD, RELEASED, ((7, 3, 7), (2, 2, 1), (7, 1, 1)), 10),
    "129": Case(ODD, PAPER, ((129, 26, 129),), 10),
    "205": Case(EVEN, PAPER, ((205, 41, 205), (129, 129, 26), (7, 7, 7)), 3),
    "205-released": Case(EVEN, RELEASED, ((205, 41, 66),), 10),
    "1134": Case(ODD, PAPER, ((1134, 227, 300),), 3),
    "1134-released": Case(ODD, RELEASED, ((1134, 300, 227), (205, 3, 205), (129, 2, 60)), 3),
    "batch-33": Case(ODD, PAPER, tuple((1 + 5 * v, 1 + v, 1 + 5 * v) for v in range(33)), 3),
    "batch-33-released": Case(EVEN, RELEASED, tuple((1 + 3 * v, 1 + v, 1 + 2 * v) for v in range(33)), 3),
    "on-timestamps": Case(ODD, PAPER, ((129, 26, 129), (7, 7, 2)), 3, on_timestamps=True),
    "paired": Case(ODD, PAIRED, ((129, 26, 60), (7, 7, 3), (205, 41, 41), (1, 1, 1)), 10),
    "paired-batch-33": Case(EVEN, PAIRED, tuple((1 + 3 * v, 1 + v, 1 + 2 * v) for v in range(33)), 3),
    "one-paired": Case(TINY, PAIRED, ((7, 3, 2), (2, 1, 2), (1, 1, 1)) * 4, 3),
    "one-step": Case(ODD, RELEASED, ((129, 26, 60), (205, 41, 41), (7, 7, 3)), 1),
}

# Drawn once and for all: what one case adds must not change the draws of the others.
SEEDS = {
    "1134": 0, "1134-released": 1, "129": 2, "205": 3, "205-released": 4, "batch-33": 5,
    "batch-33-released": 6, "one": 7, "seven-released": 8, "two": 9, "on-timestamps": 10, "one-step": 11,
    "paired": 12, "paired-batch-33": 13, "one-paired": 14,
}  # fmt: skip


def runs(weights, device, precision, settings, monkeypatch):
    """The skimmers to try; on the host, where GPU threads take turns, one way of launching has to do."""
    settings = {**settings, "precision": precision}
    if device == "cuda":
        ways = [(launches, project) for launches in ("one", "many") for project in (True, False)]
        return [CudaSkimmer(weights, launches=way, project=project, **settings) for way, project in ways]
    if device == "cuda-on-host":
        monkeypatch.setattr(native, "module", cuda_on_host)
        return [CudaSkimmer(weights, launches="many" if precision == "fp16" else "one", **settings)]
    return [on_cpu(weights, device, **settings)]


def on_cpu(weights, instructions, **settings):
    try:
        return Skimmer(weights, instructions=instructions, threads=2, **settings)
    except ValueError as error:
        if str(error).startswith("instructions: this CPU has no"):
            pytest.skip(str(error))
        raise


def worst(found):
    return {name: max(errors[name] for errors in found) for name in found[0]}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("device", DEVICES)
def test_parity(device, name, precision, monkeypatch):
    case = CASES[name]
    layers, settings = case.preset
    if precision != "fp32":
        # Where rounding may change which moment is the argmax, one exclusion more or less is no error.
        settings = {**settings, "exclude_previous_argmax": False}
    rng = np.random.default_rng(SEEDS[name])
    weights = random_weights(rng, case.dims, **layers)
    batch = random_batch(rng, case.dims.features, case.sizes, on_timestamps=case.on_timestamps)
    exact = [reference(weights, video, case.steps, **settings) for video in batch.videos]
    found = []
    for skimmer in runs(weights, device, precision, settings, monkeypatch):
        result = skimmer.run(*batch.arguments, case.steps, **batch.lengths)
        result = result.numpy() if isinstance(skimmer, CudaSkimmer) else result
        found.append(worst([errors(result, v, expected) for v, expected in enumerate(exact)]))
    if precision == "fp32":
        assert max(max(ours.values()) for ours in found) < 1e-5
        return

    def store(x):
        return x.astype(STORED[precision]).astype(np.float64)

    plain = [reference(weights, video, case.steps, store=store, **settings) for video in batch.videos]
    batched = [type(p)(*(np.asarray(a)[None] for a in p)) for p in plain]
    allowed = worst([errors(p, 0, expected) for p, expected in zip(batched, exact, strict=True)])
    for ours in found:
        for output, error in ours.items():
            assert error <= 2 * allowed[output] + 1e-5, output
        assert max(ours.values()) > 1e-6, "nothing was rounded"


def test_auto_takes_what_the_cpu_has():
    weights = random_weights(np.random.default_rng(0), TINY)
    skimmer = Skimmer(weights, precision="auto")
    assert skimmer.instructions in INSTRUCTIONS
    assert skimmer.precision == ("bf16" if skimmer.instructions == "avx512_bf16" else "fp32")
