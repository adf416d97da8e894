import pytest


@pytest.fixture(scope="module", autouse=True)
def _shortly():
    """Classifiers on embeddings learn a little, in few folds: how good they are is measured elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.frozen.averaged._ROUNDS", 3)
        patch.setattr("training.frozen.averaged._UPDATES", 20)
        patch.setattr("training.frozen.choose.FOLDS", 3)
        yield
