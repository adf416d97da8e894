"""examples/pycuda_features.py: runs on a GPU; elsewhere it says what is missing, in a line."""

import subprocess
import sys
from pathlib import Path

import pytest

from l2l_engine.cuda import why_not

EXAMPLE = Path(__file__).parents[2] / "examples" / "pycuda_features.py"


def run():
    return subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=False)


@pytest.mark.skipif(why_not() is None, reason="there is a GPU")
def test_without_a_gpu():
    done = run()
    assert done.returncode == 1
    assert done.stderr.strip() == why_not()
    assert "CUDA cannot be used: " in done.stderr


@pytest.mark.gpu
def test_on_a_gpu():
    pytest.importorskip("pycuda.driver")
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("class ")
