"""Pages are lines of bearable length, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import NAMES, PAGES, ROOT, prose

TO_BE_WRAPPED: set[str] = set()
"""Strictly expected to fail: whoever wraps them takes them out of here."""


def anchors(page: Path) -> set[str]:
    """Of its headings, as forges make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason="not wrapped yet") if name in TO_BE_WRAPPED else ())
        for name in NAMES
    ],
)
def test_prose_is_in_lines_of_at_most_120_characters(name: str) -> None:
    long = [f"{name}:{number}: {len(line)}" for number, line in prose(ROOT / name) if len(line) > 120]
    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = page if not file else (page.parent / file).resolve()
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_front_page_leads_to_every_page_of_the_project() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    linked = {(ROOT / link).resolve() for link in links}
    missing = {*PAGES, ROOT / "LICENSE", ROOT / "CITATION.cff"} - linked
    assert missing == {ROOT / "README.md"}
