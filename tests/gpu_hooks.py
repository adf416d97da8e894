"""GPU tests: skipped where there is none, unless L2L_REQUIRE_GPU=1 makes that a failure.

On its own a pytest plugin, for machines that lack what the other tests need.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from l2l_engine.cuda import why_not


def pytest_runtest_setup(item: pytest.Item) -> None:
    """GPU tests are skipped where there is none."""
    missing = why_not() if item.get_closest_marker("gpu") else None
    if missing is not None:
        pytest.skip(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With L2L_REQUIRE_GPU=1, a GPU test that is skipped for any reason has failed."""
    report = yield
    if report.skipped and item.get_closest_marker("gpu") and os.environ.get("L2L_REQUIRE_GPU") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, but L2L_REQUIRE_GPU=1: {report.longrepr}"
    return report
