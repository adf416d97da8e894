"""The papers of the project agree with the package and with the tree."""

from __future__ import annotations

import re
from importlib.metadata import metadata

import pytest

from tests.docs.pages import ROOT

PAPERS = ("CONTRIBUTING.md", "SECURITY.md", "README.md", "docs/usage.md")
TOP = ("benchmarks", "csrc", "demo", "docs", "examples", "l2l_engine", "results", "tests", "training", ".ci")


def version() -> str:
    found = re.search(
        r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found
    return found[1]


def test_the_version_is_in_the_citation_and_in_the_changelog() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(version())}$", citation, re.MULTILINE)
    titles = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert titles[0] == "Unreleased"
    assert version() in titles


def test_the_package_names_its_licence() -> None:
    told = metadata("l2l_engine")
    assert told["License-Expression"] == "Apache-2.0"
    assert told.get_all("License-File") == ["LICENSE"]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8").split()
    assert text[:6] == ["Apache", "License", "Version", "2.0,", "January", "2004"]


@pytest.mark.parametrize("paper", PAPERS)
def test_files_that_a_page_names_are_there(paper: str) -> None:
    text = (ROOT / paper).read_text(encoding="utf-8")
    named = [
        name for name in re.findall(r"`([\w./-]+)`", text) if name.partition("/")[0] in TOP and "/" in name
    ]
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_targets_that_contributing_names_are_there() -> None:
    named = set(re.findall(r"`make (\w+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    there = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"test", "lint", "nightly"} <= named <= there
