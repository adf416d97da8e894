"""Lays the pages out as they lie in the repository, and builds the site of them.

Run: python docs/site/build.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PAGES = ROOT / "build" / "site-pages"
SOURCES = ("*.md", "docs/*.md", "results/*.md", "examples/**/*.md")
"""Pages; whatever they link to or show comes along."""


def linked(page: Path) -> Iterator[Path]:
    """Files of the repository that a page links to."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        target = (page.parent / link.partition("#")[0]).resolve()
        if "://" not in link and target.is_file() and target.is_relative_to(ROOT):
            yield target


def lay_out() -> None:
    """Fill the folder that the site is built from."""
    shutil.rmtree(PAGES, ignore_errors=True)
    pages = {page for pattern in SOURCES for page in ROOT.glob(pattern)}
    for file in sorted(pages | {target for page in pages for target in linked(page)}):
        place = PAGES / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    shutil.copyfile(HERE / "api.md", PAGES / "api.md")


def main() -> None:
    """Build it, or end with what is wrong."""
    lay_out()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(HERE / "mkdocs.yml")]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
