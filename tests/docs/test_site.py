"""The pages as a site: every link in it leads somewhere, and every public name has a place in it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

import l2l_engine
from tests.docs.pages import ROOT


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="pip install 'l2l_engine[docs]'")
def test_the_site_is_built_without_a_warning() -> None:
    command = [sys.executable, str(ROOT / "docs" / "site" / "build.py")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    api = (ROOT / "build" / "site" / "api.html").read_text(encoding="utf-8")
    missing = [name for name in l2l_engine.__all__ if name not in api and not name.startswith("_")]
    assert missing == []
