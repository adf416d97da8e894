"""Embeddings are what the trunks say of what a plan sees, and are computed once."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from l2l_engine.media import open_media, timestamps
from l2l_engine.plan import MediaSettings
from tests.training.frozen.footage import entry, write_clip, write_footage
from training.errors import InputError
from training.frozen.cache import extract_embeddings
from training.frozen.encoders import starting_trunks
from training.frozen.views import count_views, square_side, views_of

MEDIA = MediaSettings()


@pytest.fixture(scope="module")
def config(tmp_path_factory, trunks):
    return write_footage(tmp_path_factory.mktemp("footage"), trunks, classes=2, videos=2)


def test_the_first_view_is_what_a_plan_sees_and_hears(config):
    trunks = starting_trunks(config)
    found = extract_embeddings(config, ["train"])
    assert len(found) == 4
    for embeddings in found:
        with closing(open_media(embeddings.video.path)) as source:
            times = timestamps(source.duration, MEDIA.hop)
            frames = source.frames(times, short_side=MEDIA.short_side, crop=MEDIA.crop)
            sounds = source.audio_windows(times, window=MEDIA.window, sample_rate=MEDIA.sample_rate)
        assert embeddings.image.shape == (4, len(times), trunks["image"].size)
        assert embeddings.image_valid.tolist() == frames.valid.tolist()
        assert embeddings.audio_valid.tolist() == sounds.valid.tolist()
        with torch.no_grad():
            seen = trunks["image"](torch.from_numpy(frames.images))
            heard = trunks["audio"](torch.from_numpy(sounds.samples))
        torch.testing.assert_close(embeddings.image[0].float(), seen, rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(embeddings.audio.float(), heard, rtol=2e-3, atol=2e-3)


def test_what_is_there_is_not_computed_again(config, monkeypatch):
    first = extract_embeddings(config, ["train"])
    monkeypatch.setattr("training.frozen.cache._work", lambda *_: pytest.fail("decoded again"))
    again = extract_embeddings(replace(config, threads=1), ["train"])
    assert all(torch.equal(a.image, b.image) for a, b in zip(first, again, strict=True))


@pytest.mark.nightly
def test_another_ear_does_not_look_again(config, monkeypatch):
    extract_embeddings(config, ["train"])
    asked = []
    from training.frozen import cache

    work = cache._work
    monkeypatch.setattr(cache, "_work", lambda task, job: asked.append(job.modalities) or work(task, job))
    other = replace(config, model=replace(config.model, audio_width=0.25))
    found = extract_embeddings(other, ["train"])
    assert set(asked) == {("audio",)}
    assert found[0].audio.shape[1] == 2 * extract_embeddings(config, ["train"])[0].audio.shape[1]


def test_a_stopped_run_goes_on_and_names_what_it_cannot_read(tmp_path, trunks):
    config = write_footage(tmp_path, trunks, classes=1, videos=1)
    (tmp_path / "broken.mkv").write_bytes(b"no video")
    write_clip(tmp_path / "quiet.mkv", 0, 9, sound=False)
    write_clip(tmp_path / "dark.mkv", 0, 10, pictures=False)
    lines = [json.dumps(entry(tmp_path / f"{n}.mkv", "x", "train")) for n in ("broken", "quiet", "dark")]
    with (tmp_path / "manifest.jsonl").open("a") as file:
        file.write("\n".join(lines) + "\n")
    found = {e.video.name: e for e in extract_embeddings(config, ["train"])}
    assert found.keys() == {"0-0", "quiet", "dark"}
    assert not found["quiet"].audio_valid.any()
    assert not found["quiet"].audio.any()
    assert found["quiet"].audio.shape[1] == found["dark"].audio.shape[1] > 0
    assert not found["dark"].image_valid.any()
    assert found["dark"].image.shape[2] == found["quiet"].image.shape[2] > 0
    skipped = json.loads((tmp_path / "work/embeddings/skipped.json").read_text())
    assert [path.rpartition("/")[2] for path in skipped] == ["broken.mkv"]
    kept = sorted((tmp_path / "work/embeddings").glob("image-*/*.safetensors"))
    kept[0].unlink()
    extract_embeddings(config, ["train"])
    assert kept[0].exists()


def test_nothing_readable_is_an_error(tmp_path, trunks):
    config = write_footage(tmp_path, trunks, classes=1, videos=1)
    for path in tmp_path.glob("*.mkv"):
        path.write_bytes(b"no video")
    with pytest.raises(InputError, match="none can be learnt from"):
        extract_embeddings(config, ["train"])


@pytest.mark.parametrize("crop", [111, 112, 128])
def test_views_are_of_one_size_and_the_first_is_the_centre(crop):
    media = MediaSettings(short_side=128, crop=crop)
    side = square_side(media)
    squares = torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8)
    count = count_views(3, media, flip=True)
    views = list(views_of(squares, media, "name", count=count, flip=True, seed=1))
    assert len(views) == count == (2 if crop == 128 else 4)
    assert {tuple(view.shape) for view in views} == {(3, crop, crop, 3)}
    margin = (side - crop) // 2
    assert torch.equal(views[0], squares[:, margin : margin + crop, margin : margin + crop])
    again = list(views_of(squares, media, "name", count=count, flip=True, seed=1))
    assert all(torch.equal(a, b) for a, b in zip(views, again, strict=True))
    assert count_views(1000, media, flip=True) == 1


@pytest.mark.parametrize("width", [455, 454, 341])
@pytest.mark.parametrize("crop", [111, 112])
def test_the_squares_centre_is_the_plans_crop_of_any_width(width, crop):
    media = MediaSettings(short_side=128, crop=crop)
    side = square_side(media)
    frame = np.arange(128 * width).reshape(128, width)

    def centre(picture, size):
        top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
        return picture[top : top + size, left : left + size]

    assert np.array_equal(centre(centre(frame, side), crop), centre(frame, crop))
