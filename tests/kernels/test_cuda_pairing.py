"""Joining banks on the CUDA side, its kernels compiled for the host, beside the readable reference."""

import numpy as np
import pytest
from device_arrays import on_device
from pair_cases import CLOSE, banks, check_pairing, random_pairing

from l2l_engine import DeviceError
from l2l_engine.cuda import CudaPairing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("sizes", [(24, 40), (64, 64), (1, 1), (130, 3)])
@pytest.mark.parametrize("precision", CLOSE)
def test_equals_the_reference(module, precision, sizes):
    weights, given = random_pairing(*sizes), banks(2, sizes[0])
    check_pairing(weights, given, CudaPairing(weights, precision=precision)(*given), CLOSE[precision])


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_one_modality(module, modality):
    weights, given = random_pairing(), banks(2)
    there = [x if i % 2 == (modality == "audio") else None for i, x in enumerate(given)]
    check_pairing(weights, given, CudaPairing(weights, precision="fp32")(*there), CLOSE["fp32"], modality)


def test_a_video_does_not_depend_on_its_batch(module):
    weights, given = random_pairing(), banks(3)
    pairing = CudaPairing(weights)
    together = pairing(*map(on_device, given))
    for v in range(3):
        alone = tuple(on_device(np.zeros_like(array[:1])) for array in given[:2])
        pairing(*(array[v : v + 1] for array in given), out=alone)
        for one, all_of_them in zip(alone, together, strict=True):
            assert np.array_equal(one.numpy()[0], all_of_them.numpy()[v])


def test_refusals(module):
    weights, given = random_pairing(), banks(2)
    image, audio, looks, sounds = given
    pairing = CudaPairing(weights)
    with pytest.raises(ValueError, match="neither modality"):
        pairing(None, None, None, None)
    with pytest.raises(ValueError, match=r"^audio_bank: expected shape \[2, at least 1, 24\]"):
        pairing(image, audio[:1], looks, sounds)
    with pytest.raises(ValueError, match=r"^audio_bank: "):
        pairing(None, audio[..., 1:], None, sounds)
    with pytest.raises(ValueError, match=r"^image_times: knots must be strictly increasing"):
        pairing(image, audio, looks[:, ::-1], sounds)
    with pytest.raises(TypeError, match=r"^image_bank: expected float32"):
        pairing(on_device(image.astype(np.float16)), audio, looks, sounds)
    with pytest.raises(ValueError, match=r"pair_image\.1\.weight: missing"):
        CudaPairing({})
    with pytest.raises(ValueError, match=r"too large for the precision"):
        CudaPairing(weights | {"pair_audio.0.weight": np.full((40, 48), 1e9, np.float32)})
    with pytest.raises(ValueError, match=r"^out: audio: expected shape"):
        pairing(*given, out=(None, on_device(image)))
    module.pretended.captured = 7
    with pytest.raises(DeviceError, match="cannot be captured"):
        pairing(*map(on_device, given), stream=7)
