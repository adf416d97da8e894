"""The paper's tables as a page; every number comes from the JSON beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.pages import render


def markdown(report: Mapping[str, Any]) -> str:
    """The report of :func:`training.tables.write.write_tables` as a page."""
    ours = [row for row in report["video"] if row["method"].startswith("ours")]
    return render(
        "training/tables/page.md.j2",
        ours=ours,
        ours_sparse=[row for row in ours if "sparse" in row["method"]],
        **report,
    )
