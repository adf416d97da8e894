"""Renders the sample videos of this folder, each named by what happens in it.

Run from the root of the checkout:  python demo/make_videos.py
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SEED = 4242
COUNT = 5
CONFIG = Path("training/configs/synth-demo.toml")


def main() -> None:
    """Render to a temporary folder, then copy each video under the name of its class."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"--seed": SEED, "--count": COUNT, "--output": folder, "--config": CONFIG}
        arguments = [str(part) for pair in options.items() for part in pair]
        subprocess.run([sys.executable, "-m", "training.data.synth", *arguments], check=True)
        for line in Path(folder, "manifest.jsonl").read_text(encoding="utf-8").splitlines():
            video = json.loads(line)
            name = video["label"].replace(" ", "-") + ".mp4"
            shutil.copyfile(Path(folder, video["path"]), Path("demo", name))
            stretches = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in video["stretches"])
            print(f"demo/{name}: {video['duration']:.1f} s, the action at {stretches}")


if __name__ == "__main__":
    main()
