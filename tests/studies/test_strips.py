"""The pictures of the documentation can be drawn again."""

import json
from pathlib import Path

import pytest

from training.data.synth import main as render

pytest.importorskip("matplotlib")

pytestmark = pytest.mark.nightly


def test_strips_are_drawn_from_a_rendered_set(tmp_path: Path) -> None:
    from studies.strips import main

    config = tmp_path / "small.toml"
    config.write_text(
        'duration = [30.0, 31.0]\nsizes = [[160, 120]]\nfps = ["12"]\npresets = ["ultrafast"]\n'
    )
    words = ["--seed", "6", "--count", "1", "--workers", "1", "--config", str(config)]
    assert render([*words, "--output", str(tmp_path / "set")]) == 0
    entry = json.loads((tmp_path / "set" / "manifest.jsonl").read_text())
    assert entry["stretches"]
    output = tmp_path / "pictures" / "strips.jpg"
    assert main(["--set", str(tmp_path / "set"), "--videos", "0", "--output", str(output)]) == 0
    assert output.read_bytes()[:2] == b"\xff\xd8"
    assert output.stat().st_size > 20_000
