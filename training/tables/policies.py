"""Key-frame knots beside exact ones, with the plan on real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2l_engine import Classifier
from training.config import Config
from training.runs.files import fingerprint
from training.sampling.ways import Way, look_at_all, table
from training.videos.sets import load_sets

POLICIES = ("exact", "keyframes", "listen", "auto")


def policies(config: Config) -> dict[str, list[dict[str, Any]]]:
    """Return a row for each sampling policy, by set; nothing where there is no plan.

    What ``python -m training.sampling`` measured with the same plan is not measured again.
    """
    if not Path(config.plan).exists():
        return {}
    ways = [Way(name, {"sampling": name}) for name in POLICIES]
    found = {}
    with Classifier(config.plan) as classifier:
        classifier.warmup()
        folder = config.folder("sampling", fingerprint(classifier.plan.sha256))
        for name in config.sampling.sets:
            videos = [video for _, video in load_sets(config, [name])]
            looks = list(look_at_all({"auto": classifier}, videos, ways, folder / f"{name}.jsonl"))
            found[name] = [{"policy": way, **row} for way, row in table(looks, ways).items()]
    return found
