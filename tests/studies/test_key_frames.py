"""The study of key frames: that both ways of decoding are what they say."""

import json

import numpy as np
import pytest

from benchmarks.media import files
from studies.key_frames import KeyFrames, main

pytestmark = pytest.mark.nightly


def test_a_key_frame_alone_is_decoded_whole_and_filtered_only_if_asked():
    some = KeyFrames(files.file("8s-90p.mp4"), short_side=64, crop=56)
    filtered, plain = some.decode(loop_filter=True), some.decode(loop_filter=False)
    assert filtered.pictures.shape == plain.pictures.shape == (len(some), 56, 56, 3)
    assert (filtered.sizes == plain.sizes).all()
    difference = np.abs(filtered.pictures.astype(int) - plain.pictures.astype(int))
    assert 0 < difference.mean() < 8


def test_the_report_has_a_row_a_file(tmp_path):
    output = tmp_path / "key-frames.json"
    assert main(["--files", "8s-90p.mp4", "--rounds", "1", "--output", str(output)]) == 0
    row = json.loads(output.read_text())["sections"]["key frames"]["8s-90p.mp4"]
    assert set(row["seconds"]) == {"ours", "without the loop filter", "made small"}
    assert row["key_frames"]["largest"] > 0
