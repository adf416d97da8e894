"""YAMNet: what its published file says, in PyTorch, in a plan's graph, and read by OpenVINO itself."""

import sys
from contextlib import closing

import numpy as np
import openvino
import pytest
import torch

from l2l_engine.media import open_media
from tests.shared import shared_files
from training.errors import InputError
from training.export.graphs import compare, to_onnx
from training.export.running import runner
from training.models import AudioEncoder
from training.models.flat import read_layers
from training.models.spectrogram import LogMel
from training.models.weights import read_weights
from training.models.yamnet import SOUND, TAGS, Yamnet

pytest.importorskip("tflite")
from tests.training.models.flat_files import Weights, flat_file

BLOCKS = ((8, 1), (12, 2))
FORMS = ["float", "tensor", "channel", "unpacked", "half"]
# By default OpenVINO also rounds what int8 layers are given: a cosine of 0.90 to what the file says.
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}


def layers(form="float", blocks=BLOCKS, tags=5, seed=0):
    """Random weights of a small YAMNet, as they lie in a file."""
    rng = np.random.default_rng(seed)

    def made(kind, *shape, stride=1):
        axis = 3 if kind == "depthwise" else 0
        weight = rng.standard_normal(shape).astype(np.float32)
        along = [-1 if at == axis else 1 for at in range(len(shape))]
        weight *= np.exp(rng.standard_normal(shape[axis])).reshape(along)
        return Weights(
            kind, weight / 3, 0.1 * rng.standard_normal(shape[axis]).astype(np.float32), stride, form
        )

    found, channels = [made("conv", 32, 3, 3, 1, stride=2)], 32
    for outputs, stride in blocks:
        found += [made("depthwise", 1, 3, 3, channels, stride=stride), made("conv", outputs, 1, 1, channels)]
        channels = outputs
    return [*found, made("dense", tags, channels)]


@pytest.fixture
def written(tmp_path):
    def write(form="float", **more):
        path = tmp_path / "yamnet.tflite"
        path.write_bytes(flat_file(layers(form, **more)))
        return path

    return write


def small(path, blocks=BLOCKS):
    network = Yamnet(blocks)
    named = read_weights("yamnet", str(path))
    head = {name: named.pop(f"classifier.{name}") for name in ("weight", "bias")}
    network.load_state_dict(named)
    return network.eval(), head


def reference(model, *names):
    """What OpenVINO computes of a file: its outputs, by the size of their last axis."""
    compiled = openvino.Core().compile_model(model, "CPU", EXACT)

    def run(inputs):
        outputs = compiled([inputs])
        found = [outputs[number] for number in range(len(compiled.outputs))]
        return [next(rows for rows in found if rows.shape[-1] == size).ravel() for size in names]

    return run


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_what_the_file_means(form, written):
    for found, expected in zip(read_layers(written(form)), layers(form), strict=True):
        assert found.weight.dtype == np.float32
        np.testing.assert_allclose(found.weight, expected.meant(), rtol=1e-6)
        np.testing.assert_array_equal(found.bias, expected.bias)


@pytest.mark.parametrize("form", FORMS)
def test_the_network_is_the_one_that_openvino_reads(form, written):
    path = written(form)
    network, head = small(path)
    x = torch.randn(1, 1, 96, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        embedding = network(x)[0]
        logits = head["weight"] @ embedding + head["bias"]
    found, said = reference(openvino.Core().read_model(path), 12, 5)(x.numpy().reshape(1, 96, 64, 1))
    scale = float(embedding.abs().max())
    np.testing.assert_allclose(embedding.numpy(), found, atol=1e-4 * scale)
    np.testing.assert_allclose(logits.numpy(), said, atol=1e-3 * scale)


def test_a_layer_without_bias_has_none(tmp_path):
    (tmp_path / "a").write_bytes(flat_file([Weights("conv", np.ones((2, 3, 3, 1), np.float32), stride=2)]))
    assert [layer.bias for layer in read_layers(tmp_path / "a")] == [None]


@pytest.mark.parametrize("form", ["float", "channel", "unpacked"])
def test_a_file_that_ends_early_is_refused(form, written, tmp_path):
    content = written(form).read_bytes()
    for size in [0, 3, 8, 20, *np.linspace(30, len(content) - 1, 40).astype(int)]:
        (tmp_path / "short.tflite").write_bytes(content[:size])
        try:
            found = read_weights("yamnet", str(tmp_path / "short.tflite"))
        except InputError as error:
            assert "short.tflite" in str(error)  # noqa: PT017 - what is cut off may be no part of any layer
        else:
            assert all(bool(tensor.isfinite().all()) for tensor in found.values())
            assert size > len(content) // 2


def test_files_in_which_bytes_are_wrong_are_refused_or_read(written, tmp_path):
    content = np.frombuffer(written("channel").read_bytes(), np.uint8)
    rng, refused = np.random.default_rng(0), 0
    for _ in range(150):
        wrong = content.copy()
        # Offsets and lengths stand at the end of the file, and its first are at the beginning.
        places = np.concatenate([np.arange(4, 40), len(content) - 1 - np.arange(4000)])
        wrong[rng.choice(places, 4)] = rng.choice([0, 1, 127, 128, 255], 4)
        (tmp_path / "wrong.tflite").write_bytes(wrong.tobytes())
        try:
            read_weights("yamnet", str(tmp_path / "wrong.tflite"))
        except InputError:
            refused += 1
    assert refused > 20


def test_other_files_are_named(written, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes(b"no network at all")
    with pytest.raises(InputError, match=r"a\.txt is no TensorFlow Lite file"):
        read_layers(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"yamnet\.tflite fits another network than model\.audio yamnet"):
        AudioEncoder(name="yamnet").start_from(str(written()))
    with pytest.raises(InputError, match=r"has no classifier of yamnet's embedding of 1024 numbers"):
        AudioEncoder(name="yamnet").published_classifier(str(written()))
    with pytest.raises(InputError) as missing:
        AudioEncoder(name="yamnet").start_from(str(tmp_path / "nowhere"))
    for part in ("nowhere/yamnet.tflite: no such file (model.audio_weights)", "https://", "Apache-2.0"):
        assert part in str(missing.value)
    with pytest.raises(InputError, match="no package brings weights of yamnet"):
        AudioEncoder(name="yamnet").start_from("package")
    path = written()
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(InputError, match="needs the package tflite, of the extra 'encoders'"):
        read_layers(path)


def test_the_spectrogram_is_yamnets():
    samples = torch.randn(2, SOUND.window, generator=torch.Generator().manual_seed(0))
    found = LogMel(SOUND)(samples)
    assert found.shape == (2, 1, 96, 64)
    # As its authors describe it, but for the rounding of the matrices in the published file.
    rows = samples.double().unfold(1, 400, 160) * torch.hann_window(400, dtype=torch.float64)
    magnitude = torch.fft.rfft(rows, n=512).abs()
    mel = 1127 * np.log1p(np.linspace(0, 8000, 257) / 700)
    low, high = 1127 * np.log1p(np.array([125, 7500]) / 700)
    edges = np.linspace(low, high, 66)
    bands = [np.interp(mel, edges[band : band + 3], [0, 1, 0], 0, 0) for band in range(64)]
    expected = torch.log(magnitude @ torch.from_numpy(np.stack(bands, 1)) + 1e-3)
    assert float((found[:, 0] - expected).abs().mean()) < 0.02


@pytest.mark.nightly
def test_its_graph_equals_pytorch():
    torch.manual_seed(0)
    encoder = AudioEncoder(name="yamnet", features=16).eval()
    assert (encoder.sample_rate, encoder.window, encoder.embedding_size) == (16000, 15600, 1024)
    samples = 0.1 * torch.randn(2, encoder.window)
    assert compare(encoder, to_onnx(encoder, samples, "samples"), samples) < 1e-4


def sounds(window, count=20):
    """Real sounds of every class, one window of each."""
    every = shared_files("esc10", "*/*.opus")
    for path in every[:: len(every) // count][:count]:
        with closing(open_media(path)) as source:
            yield source.audio_windows(np.array([0.5]), window=window, sample_rate=16000).samples


@pytest.mark.skipif(not shared_files("weights"), reason="L2L_SHARED_DATA does not name the folder of weights")
def test_pytorch_the_graph_and_openvinos_reading_of_the_published_file_agree():
    path = next(path for path in shared_files("weights") if path.name == "yamnet.tflite")
    encoder = AudioEncoder(name="yamnet").eval()
    encoder.start_from(str(path.parent))
    classifier = encoder.published_classifier(str(path))
    assert classifier.out_features == TAGS
    model = openvino.Core().read_model(path)
    means = [op for op in model.get_ordered_ops() if op.get_type_name() == "ReduceMean"]
    model.add_outputs(means[-1].output(0))
    read, graph = reference(model, 1024, TAGS), None
    cosines, count = [], 0
    for samples in sounds(encoder.window):
        inputs = torch.from_numpy(samples)
        graph = graph or runner(to_onnx(encoder, inputs.repeat(2, 1), "samples"))
        with torch.inference_mode():
            ours = encoder.embed(inputs)
        expected, tags = read(samples)
        for found in (ours, torch.from_numpy(graph(samples))):
            cosines.append(float(torch.cosine_similarity(found[0], torch.from_numpy(expected), dim=0)))
            with torch.inference_mode():
                assert int(classifier(found).argmax()) == int(tags.argmax())
        count += 1
    assert count == 20
    assert min(cosines) >= 0.999
