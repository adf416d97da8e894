import pytest

from tests.training.frozen.footage import write_footage
from training.frozen.cache import extract_embeddings


@pytest.fixture(scope="session")
def trunks(tmp_path_factory):
    """Where the graphs of the tiny run's trunks are: making them takes longer than all that uses them."""
    folder = tmp_path_factory.mktemp("trunks")
    extract_embeddings(write_footage(folder, classes=1, videos=1), ["train"])
    return folder / "work/embeddings"


@pytest.fixture(scope="module", autouse=True)
def _shortly():
    """Classifiers on embeddings learn a little, in few folds: how good they are is measured elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.frozen.averaged._ROUNDS", 3)
        patch.setattr("training.frozen.averaged._UPDATES", 20)
        patch.setattr("training.frozen.choose.FOLDS", 3)
        yield
