"""`pytest benchmarks/ --benchmark` times; without the option every benchmark runs once, small and untimed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import results
from benchmarks.harness import OURS, Case, Contestant, interleave, wall

THREADS = 2
"""Of the engine and of PyTorch alike."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--benchmark", action="store_true", help="time the benchmarks and print ratios")
    parser.addoption("--rounds", type=int, default=0, metavar="N", help="time at most N rounds, to rehearse")
    parser.addoption("--results", metavar="FILE", help="merge what was measured into this JSON file")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.option.benchmark_skip = False
    config.option.benchmark_disable = not config.getoption("--benchmark")
    if config.getoption("--benchmark"):
        config.option.timeout = 1800
    # What the peers' libraries warn about is no concern of ours.
    config.addinivalue_line("filterwarnings", "ignore::UserWarning")
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore::FutureWarning")
    config.stash[CASES] = []


CASES: pytest.StashKey[list[Case]] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def timed(request: pytest.FixtureRequest) -> bool:
    """Whether this run times anything; if not, inputs are small."""
    return bool(request.config.getoption("--benchmark"))


Against = Callable[..., dict[str, float]]
"""See the fixture of this name."""


@dataclass(slots=True)
class Bench:
    """What a benchmark does its timing with."""

    config: pytest.Config
    benchmark: Any
    cases: list[Case] = field(default_factory=list)

    @property
    def timed(self) -> bool:
        return bool(self.config.getoption("--benchmark"))

    def case(self, section: str, name: str) -> Case:
        """A new row of the results."""
        case = Case(section, name)
        self.cases.append(case)
        return case

    def not_run(self, section: str, name: str, why: str) -> None:
        """A row that says why there are no numbers."""
        self.case(section, name).not_run = why

    def time(
        self, group: str, contestants: Mapping[str, Contestant], rounds: int, warmups: int = 1
    ) -> dict[str, list[float]]:
        """Samples of all contestants, taken in turn; untimed, each runs once, and nothing is kept."""
        if not self.timed:
            return interleave(contestants, 1, warmups=0)
        rounds = min(rounds, self.config.getoption("--rounds") or rounds)
        samples = interleave(contestants, rounds, warmups)
        for name, values in samples.items():
            self._show(group, name, values)
        return samples

    def _show(self, group: str, name: str, values: list[float]) -> None:
        """Put a series into pytest-benchmark's table; it has no public way for several from one test."""
        stats = self.benchmark._make_stats(1)
        stats.name, stats.group, stats.fullname = name, group, f"{group}: {name}"
        for value in values:
            stats.update(value)


@pytest.fixture
def bench(benchmark: Any, request: pytest.FixtureRequest) -> Iterator[Bench]:
    benchmark._mode = "interleaved"
    this = Bench(request.config, benchmark)
    yield this
    # A benchmark that failed proves nothing, whatever it had timed by then.
    if this.timed and not request.node.stash[FAILED]:
        request.config.stash[CASES] += this.cases


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def against(bench: Bench, request: pytest.FixtureRequest) -> Against:
    """``against(ours, {"name": peer}, rounds=...)``: {name: median of peer / median of ours}; {} untimed.

    The case is named after the test, its section after the folder. Targets: ``faster`` is how many times
    faster than a peer ours should be, ``within`` how many times its time ours may take.
    """

    def run(
        ours: Callable[[], object],
        peers: Mapping[str, Callable[[], object]],
        rounds: int,
        faster: Mapping[str, float] | None = None,
        within: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        contestants = {OURS: wall(ours)} | {name: wall(peer) for name, peer in peers.items()}
        case = bench.case(request.path.parent.name, request.node.name.removeprefix("test_"))
        samples = bench.time(case.name, contestants, rounds, warmups=2)
        if not bench.timed:
            return {}
        case.samples = samples
        for name in peers:
            if within and name in within:
                case.within(name, within[name])
            else:
                case.faster_than(name, (faster or {}).get(name))
        return {name: case.median(name) / case.median() for name in peers}

    return run


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for case in config.stash[CASES]:
        if case.not_run is not None:
            terminalreporter.write_line(f"{case.section}, {case.name}: not run: {case.not_run}")
            continue
        if not case.details.get("ratios"):
            continue
        ratios = ", ".join(f"{what} {value:g}" for what, value in case.details.get("ratios", {}).items())
        terminalreporter.write_line(f"{case.section}, {case.name}: {ratios}")
        for check in case.checks:
            if not check.met:
                plain = check.to_dict()
                terminalreporter.write_line(f"  missed: {check.what} {plain['value']:g}, {plain['target']}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--results")
    cases = session.config.stash[CASES]
    if path and cases:
        results.write(cases, results.default_path() if path == "default" else Path(path))
