"""The service under load, good and hostile: no fault, nothing lost, memory that stays."""

from __future__ import annotations

import pytest

from benchmarks import service


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_under_load_nothing_fails_and_nothing_is_lost() -> None:
    found = service.measure(seconds=40.0, clients=8, upload_s=5.0)
    assert found["faults"] == 0
    assert found["lines that are no JSON"] == []
    assert set(found["good"]) <= {"200", "429", "503", "504"}
    assert found["good"]["200"] > 0
    statuses = {entry.rpartition(" ")[2] for entry in found["others"]}
    assert {"400", "403", "404", "408", "413", "422"} <= statuses
    assert not {status for status in statuses if status.startswith("5")} - {"503", "504"}
    assert found["memory grew by, MB"] < 60
    assert found["SIGTERM"]["let in"] > 0
    assert found["SIGTERM"]["lost"] == 0
