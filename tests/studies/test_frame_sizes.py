"""The study of sizes: that the page on training says what was measured."""

import json
from pathlib import Path

from studies.frame_sizes import table

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_page_are_those_of_the_record():
    record = json.loads((ROOT / "results/frame-sizes.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    for part in table(record).split("\n\n"):
        assert part in page
