"""The published layouts, made small, become what AV-Digits reads."""

import gzip
import wave

import numpy as np
import pytest

from training.data.digits.published import main, read_idx
from training.data.digits.source import load_source


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def tone(path, rate, seconds=0.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (9000 * np.sin(np.arange(int(rate * seconds)) / 7)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


@pytest.fixture
def published(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "mnist").mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(
            idx(np.arange(count, dtype=np.uint8) % 10)
        )
    for digit in range(10):
        for speaker in ("anna", "ben", "carl", "dora", "emil", "fay"):
            tone(tmp_path / "fsdd" / "recordings" / f"{digit}_{speaker}_0.wav", 8000)
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for name, small in (("rain", "True"), ("cow", "False")):
            tone(tmp_path / "esc" / "audio" / f"{fold}-1-A-{name}.wav", 44100)
            rows.append(f"{fold}-1-A-{name}.wav,{fold},0,{name},{small},1,A")
    (tmp_path / "esc" / "meta").mkdir()
    (tmp_path / "esc" / "meta" / "esc50.csv").write_text("\n".join(rows))
    return tmp_path


def arguments(root):
    folders = {"mnist": "mnist", "fsdd": "fsdd", "esc50": "esc", "output": "out"}
    return [word for name, folder in folders.items() for word in (f"--{name}", str(root / folder))]


def test_the_published_folders_become_a_source(published):
    assert main(arguments(published)) == 0
    train = load_source(published / "out", "train")
    assert [len(images) for images in train.images] == [5] * 10
    assert [len(voices) for voices in train.voices] == [4] * 10
    assert len(train.noises) == 3
    with np.load(published / "out" / "digits" / "mnist.npz") as file:
        assert np.array_equal(file["train_x"], read_idx(published / "mnist", "train-images-idx3-ubyte"))
        assert np.array_equal(file["test_y"], np.arange(20) % 10)
    wave_ = train.voices[3][0][1]
    assert len(wave_) == pytest.approx(0.2 * 16000, abs=2)
    assert np.abs(wave_).max() == pytest.approx(1, abs=1e-3)
    assert not (published / "out" / "esc10" / "cow").exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("mnist/t10k-labels-idx1-ubyte", b"\0\0\x09\x01\0\0\0\0", "no IDX file of bytes"),
        ("mnist/t10k-labels-idx1-ubyte", idx(np.zeros(9, np.uint8))[:-1], "cut short"),
        ("fsdd/recordings/0_anna_0.wav", b"RIFF", "error:"),
        ("esc/meta/esc50.csv", b"filename,esc10\nx.wav,False\n", "names no sound of ESC-10"),
    ],
)
def test_what_is_wrong_is_named(published, capsys, file, content, message):
    (published / file).write_bytes(content)
    assert main(arguments(published)) == 1
    assert message in capsys.readouterr().err


def test_what_is_missing_is_named(published, capsys):
    (published / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    assert main(arguments(published)) == 1
    assert "holds no t10k-labels-idx1-ubyte" in capsys.readouterr().err
