import sys
from pathlib import Path

import pytest
import torch

# The float64 reference of the skimmer is a plain module beside the kernels' tests.
sys.path.append(str(Path(__file__).parent.parent / "kernels"))


@pytest.fixture(autouse=True)
def _one_thread():
    """Tests run beside others; results must not depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
