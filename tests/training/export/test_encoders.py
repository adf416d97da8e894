"""Plans of other encoders than the paper's: graphs equal PyTorch, and the engine decodes what they take."""

import pytest

from l2l_engine import Classifier
from l2l_engine.plan import MediaSettings
from tests.api.videos import write_video
from training.config import ModelConfig
from training.export.untrained import export_untrained

SIZES = {"features": 24, "fusion": 16, "keys": 8, "hidden": 16}


@pytest.mark.parametrize(
    ("image", "audio", "precisions", "sizes"),
    [
        ({"image": "squeezenet1_1", "image_side": 64}, "squeezenet1_1", ("fp32",), (73, 64, 16000)),
        pytest.param(
            {"image": "efficientnet_lite0"},
            "yamnet",
            ("fp32", "int8"),
            (256, 224, 15600),
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            {"image": "mobilenet_v3_small"},
            "mobilenet_v3_small",
            ("fp32",),
            (256, 224, 16000),
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_a_plan_decodes_what_its_encoders_take(image, audio, precisions, sizes, tmp_path):
    # Writing a plan compares its graphs with PyTorch.
    model = ModelConfig(**image, audio=audio, **SIZES)
    plan = export_untrained(tmp_path / "a.plan", classes=3, model=model, precisions=precisions)
    short_side, crop, window = sizes
    assert plan.document.media == MediaSettings(short_side=short_side, crop=crop, window=window)
    write_video(tmp_path / "a.mp4")
    for precision in precisions:
        with Classifier(plan.path, precision=precision, threads=1) as classifier:
            found = classifier.predict(tmp_path / "a.mp4")
        assert found.media.coverage == 1.0
