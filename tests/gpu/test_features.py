"""Features out of the device and into it, without a copy on the host."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.cuda import native
from tests.gpu.host import HostDevice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class ByInterface:
    """As PyCUDA offers an array."""

    def __init__(self, array: Any, **changes: Any) -> None:
        self._array = array
        self.shape = array.shape
        self.__cuda_array_interface__ = {**array.__cuda_array_interface__, "stream": None, **changes}


class ByCapsule:
    """As PyTorch offers one."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape = array, array.shape

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)


def there(array: np.ndarray) -> Any:
    module = native.module()
    return module.upload(np.ascontiguousarray(array), 0, module.Stream(0, None))


def test_features_are_the_cpus_and_outlive_the_classifier(
    classifier: Classifier, on_cpu: Classifier, device: HostDevice, video: Path
) -> None:
    got, expected = classifier.features(video), on_cpu.features(video)
    classifier.close()
    assert not device.streams
    for name in ("image", "audio"):
        bank = getattr(got, f"{name}_bank")
        assert bank.__dlpack_device__() == (2, 0)
        np.testing.assert_allclose(bank.numpy(), getattr(expected, f"{name}_bank"), atol=1e-6)
        np.testing.assert_array_equal(getattr(got, f"{name}_times"), getattr(expected, f"{name}_times"))
    np.testing.assert_array_equal(got.timestamps, expected.timestamps)
    assert got.decoder == "pyav"


def test_features_of_one_modality(classifier: Classifier, silent_video: bytes, sound_file: bytes) -> None:
    silent, sound = classifier.features(silent_video), classifier.features(sound_file)
    assert silent.audio_bank is None
    assert silent.audio_times is None
    assert silent.image_bank.shape == (len(silent.image_times), 12)  # type: ignore[arg-type]
    assert sound.image_bank is None
    assert sound.audio_bank.shape[1] == 12


def test_features_lead_to_the_same_prediction(classifier: Classifier, video: Path) -> None:
    found = classifier.features(video, sampling="exact")
    again = classifier.predict_features(
        found.image_bank,
        found.audio_bank,
        image_times=found.image_times,
        audio_times=found.audio_times,
        timestamps=found.timestamps,
    )
    np.testing.assert_allclose(
        again.probabilities, classifier.predict(video, sampling="exact").probabilities, atol=1e-6
    )
    assert (again.device, again.decoder, again.precision) == ("cuda", None, None)


@pytest.mark.parametrize(
    "make", [lambda x: x, there, lambda x: ByInterface(there(x)), lambda x: ByCapsule(there(x))]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_arrays_of_any_maker(classifier: Classifier, on_cpu: Classifier, make: Any, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    image = rng.standard_normal((9, 12)).astype(dtype)
    audio = rng.standard_normal((5, 12)).astype(dtype)
    for banks in ((image, audio), (image, None), (None, audio)):
        expected = on_cpu.predict_features(*banks)
        got = classifier.predict_features(*(None if bank is None else make(bank) for bank in banks))
        np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=1e-5)
        np.testing.assert_array_equal(got.timestamps, expected.timestamps)


def test_what_cannot_be_used_is_refused(classifier: Classifier, on_cpu: Classifier) -> None:
    good = np.zeros((3, 12), np.float32)
    for bank, error, message in (
        (there(good.astype(np.float64)), TypeError, "float32 or float16"),
        (there(good[:, :5]), ValueError, r"shape \[M, 12\]"),
        (there(good[0]), ValueError, "image_bank"),
        (ByInterface(there(good), strides=(8, 4)), ValueError, "image_bank: .*strided"),
    ):
        with pytest.raises(error, match=message):
            classifier.predict_features(bank, None)
    with pytest.raises(ValueError, match="image_times has 2 entries for 3 rows"):
        classifier.predict_features(there(good), None, image_times=[0.0, 1.0])
    with pytest.raises(
        TypeError, match="image_bank is in memory of a GPU, and this Classifier is on the cpu"
    ):
        on_cpu.predict_features(there(good), None)
    assert classifier.predict_features(there(good), None).label


def test_a_stream_ends_after_the_memory_that_is_freed_in_its_order(
    classifier: Classifier, device: HostDevice
) -> None:
    """An error holds what was on its way to the device; its stream must not go before."""
    good, streams = np.zeros((3, 12), np.float32), set(device.streams)
    with pytest.raises(ValueError, match="audio_bank") as caught:
        classifier.predict_features(good, there(good[:, :5]))
    assert len(set(device.streams) - streams) == 1
    del caught
    gc.collect()
    assert set(device.streams) == streams


def test_on_the_cpu_features_are_numpy_and_fit_too(on_cpu: Classifier, video: Path) -> None:
    found = on_cpu.features(video, sampling="exact", max_knots=4)
    assert found.image_bank.dtype == np.float32
    assert len(found.image_bank) == len(found.image_times) <= 4  # type: ignore[arg-type]
    again = on_cpu.predict_features(
        found.image_bank,
        found.audio_bank,
        image_times=found.image_times,
        audio_times=found.audio_times,
        timestamps=found.timestamps,
    )
    expected = on_cpu.predict(video, sampling="exact", max_knots=4)
    np.testing.assert_allclose(again.probabilities, expected.probabilities, atol=1e-6)
    with pytest.raises(ValueError, match="sampling"):
        on_cpu.features(video, sampling="listen")  # type: ignore[arg-type]
