"""Tables in Markdown, as every page has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def table(head: Sequence[object], *rows: Sequence[object]) -> list[str]:
    """Lines of a table, and an empty one."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:], ""]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")


def knots_table(rows: Sequence[Mapping[str, float]], early: int) -> list[str]:
    """Top-1 by how many knots lie in the action; also with all timestamps, where that was measured."""
    names = {
        "early": f"top-1 after {early} steps",
        "top1": "top-1 after all steps",
        "dense_early": f"with all timestamps, after {early} steps",
        "dense": "with all timestamps, after all steps",
    }
    return table(
        ["knots in the action, with sound", *(_range(int(row["least"])) for row in rows)],
        ["videos", *(row["videos"] for row in rows)],
        *(
            [words, *(percent(row[name]) for row in rows)]
            for name, words in names.items()
            if all(name in row for row in rows)
        ),
    )


def _range(least: int) -> str:
    return {0: "at most 1", 2: "2"}.get(least, f"{least} or more")


def percent(share: float) -> str:
    """A share as it stands in tables."""
    return f"{100 * share:.1f} %"
