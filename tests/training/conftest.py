import hashlib
import pickle
import sys
from pathlib import Path

import pytest
import torch

from training.export import graphs

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


@pytest.fixture(scope="session", autouse=True)
def _one_graph_a_network():
    """A network that was exported before, weight for weight, is not again: it takes PyTorch seconds.

    What imported ``to_onnx`` itself still has the exporter's own.
    """
    made, export = {}, graphs.to_onnx

    def to_onnx(network, example, name):
        network.eval()
        try:
            key = hashlib.sha256(pickle.dumps((network, example, name))).digest()
        except (pickle.PicklingError, AttributeError, TypeError):
            return export(network, example, name)
        if key not in made:
            made[key] = export(network, example, name)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "to_onnx", to_onnx)
        yield
