import sys
from pathlib import Path

import numpy as np
import pytest

from l2l_engine.cuda import native

# The reference and the cases are plain modules beside the tests, and benchmarks use them too.
sys.path.append(str(Path(__file__).parent))

SIZES = [(9, 4, 6), (5, 1, 5), (1, 1, 1)]


@pytest.fixture
def module(monkeypatch):
    """The CUDA side of the native core, compiled for the host."""
    from device_arrays import BIG
    from native_build import cuda_on_host

    module = cuda_on_host()
    monkeypatch.setattr(native, "module", lambda: module)
    module.pretended.waits = []
    yield module
    module.pretended.missing, module.pretended.captured, module.pretended.most_bytes = "", 0, BIG
    module.pretended.devices = 1


@pytest.fixture(scope="module")
def weights():
    from skim_cases import random_weights

    return random_weights(np.random.default_rng(0))


@pytest.fixture(scope="module")
def batch():
    from skim_cases import random_batch

    return random_batch(np.random.default_rng(1), 24, SIZES)
