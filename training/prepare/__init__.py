"""From footage on disk, however it is laid out, to one manifest that every other stage reads."""

from training.prepare.layouts import LAYOUTS
from training.prepare.manifest import Options, prepare

__all__ = ["LAYOUTS", "Options", "prepare"]
