"""The settings of the smallest run there is, shared by the tests of whole stages."""

from pathlib import Path

from training.config import Config, load_config

RUN = """
work = "{folder}"
plan = "{folder}/tiny.plan"
seed = 7
threads = 1
workers = 0

[model]
image_width = 0.0625
audio_width = 0.0625
features = 32
fusion = 24
keys = 8
hidden = 16
"""
VIDEOS = """
sizes = [[160, 120]]
fps = ["15"]
presets = ["ultrafast"]
sample_rates = [16000]
silent_share = 0.0
"""


def write_settings(folder: Path, tables: str) -> Config:
    """Write ``tiny.toml``, and beside it ``clips.toml`` and ``untrimmed.toml`` for sets to be rendered by.

    Args:
        folder: Of the settings and of the run.
        tables: Tables of settings beside :data:`RUN`; ``{folder}`` in them is replaced.
    """
    (folder / "clips.toml").write_text(VIDEOS + "clip_duration = [2.0, 2.1]\n")
    (folder / "untrimmed.toml").write_text(VIDEOS + "duration = [30.0, 31.0]\naction_share = [0.1, 0.15]\n")
    (folder / "tiny.toml").write_text((RUN + tables).format(folder=folder))
    return load_config(folder / "tiny.toml")
