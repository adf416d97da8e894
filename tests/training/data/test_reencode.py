"""The same videos with key frames far apart."""

import json
from dataclasses import asdict
from pathlib import Path

import av
import pytest

from training.data.draw import Encoding
from training.data.encode import write_video
from training.data.reencode import main, reencode
from training.data.synth_config import SynthConfig
from training.data.timeline import draw_scene

# Sound begins late in one of them, and key frames of the input are closer than those asked for.
LATE = Encoding(160, 120, "15", 10, 2, "ultrafast", 24, 16000, 1, 1.0, 4, 0, 9000)
SILENT = Encoding(160, 120, "12", 12, 0, "ultrafast", 24, None, 1, 1.0, 0, 0, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A set of two clips."""
    path = tmp_path_factory.mktemp("set")
    (path / "videos").mkdir()
    entries = []
    for index, encoding in enumerate((LATE, SILENT)):
        scene = draw_scene(5, index, universe="target", split="clips", config=SynthConfig())
        name = f"videos/{index:05d}.mp4"
        write_video(scene, encoding, path / name)
        entries.append({"path": name, "label": scene.label, "encoding": asdict(encoding)})
    (path / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def packets(path: Path, kind: str) -> list[tuple[float, int, bytes]]:
    """(seconds, key frame, bytes) in the order of presentation."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        found = [
            (round(float(packet.pts * packet.time_base), 6), packet.is_keyframe, bytes(packet))
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
    return sorted(found, key=lambda packet: packet[0])


def entries(path: Path) -> list[dict]:
    return [json.loads(line) for line in (path / "manifest.jsonl").read_text().splitlines()]


def words(source: Path, output: Path, gop: int) -> list[str]:
    return ["--input", str(source), "--output", str(output), "--gop", str(gop), "--workers", "1"]


def test_only_the_pictures_packets_change(folder, tmp_path):
    assert main(words(folder, tmp_path / "out", 20)) == 0
    for old, new in zip(entries(folder), entries(tmp_path / "out"), strict=True):
        assert new == old | {"encoding": new["encoding"]}
        assert new["encoding"]["gop"] == 20
        before, after = folder / old["path"], tmp_path / "out" / new["path"]
        shown = packets(after, "video")
        assert [seconds for seconds, *_ in shown] == [seconds for seconds, *_ in packets(before, "video")]
        keys = [number for number, (_, key, _) in enumerate(shown) if key]
        assert keys == list(range(0, len(shown), 20))
    assert packets(tmp_path / "out/videos/00000.mp4", "audio") == packets(
        folder / "videos/00000.mp4", "audio"
    )


def test_a_stopped_run_continues_to_the_same_files(folder, tmp_path):
    assert main(words(folder, tmp_path / "whole", 20)) == 0
    assert main(words(folder, tmp_path / "stopped", 20)) == 0
    manifest = tmp_path / "stopped/manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(lines[0])
    (tmp_path / "stopped/videos/00001.mp4").write_bytes(b"half a video")
    assert main(words(folder, tmp_path / "stopped", 20)) == 0
    for name in ("manifest.jsonl", "videos/00000.mp4", "videos/00001.mp4"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_another_set_is_not_mixed_in(folder, tmp_path, capsys):
    assert main(words(folder, tmp_path / "out", 20)) == 0
    assert main(words(folder, tmp_path / "out", 30)) == 1
    assert "other settings" in capsys.readouterr().err


def test_about_the_same_size(folder, tmp_path):
    reencode(folder / "videos/00000.mp4", tmp_path / "again.mp4", 250)
    sizes = [
        sum(len(data) for *_, data in packets(path, "video"))
        for path in (folder / "videos/00000.mp4", tmp_path / "again.mp4")
    ]
    assert 0.5 < sizes[1] / sizes[0] < 1.5
