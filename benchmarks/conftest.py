"""`pytest benchmarks/ --benchmark` times; without the option every benchmark runs once, untimed."""

import time

import pytest


def pytest_addoption(parser):
    parser.addoption("--benchmark", action="store_true", help="time the benchmarks and print ratios")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.option.benchmark_skip = False
    config.option.benchmark_disable = not config.getoption("--benchmark")


@pytest.fixture
def against(benchmark, request):
    """Times ours and its peers in turn, so that a busy machine is as busy for each; returns the ratios.

    ``against(ours, {"name": peer}, rounds=...)`` is {name: median of peer / median of ours}.
    """

    def run(ours, peers, rounds):
        if not request.config.getoption("--benchmark"):
            benchmark(ours)
            for peer in peers.values():
                peer()
            return {}
        seconds = {name: [] for name in peers}

        def time_peers():
            for name, peer in peers.items():
                started = time.perf_counter()
                peer()
                seconds[name].append(time.perf_counter() - started)

        benchmark.pedantic(ours, setup=time_peers, rounds=rounds, warmup_rounds=2)
        ratios = {}
        for name, values in seconds.items():
            median = sorted(values[2:])[(len(values) - 2) // 2]
            ratios[name] = median / benchmark.stats.stats.median
            benchmark.extra_info[f"{name} ms"] = round(median * 1e3, 3)
            benchmark.extra_info[f"{name} fastest ms"] = round(min(values) * 1e3, 3)
            benchmark.extra_info[f"{name} ratio"] = round(ratios[name], 2)
        return ratios

    return run


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    for bench in getattr(session, "benchmarks", []):
        if bench.extra_info:
            ours = f"{bench.stats.median * 1e3:.3f} ms (fastest {bench.stats.min * 1e3:.3f})"
            terminalreporter.write_line(f"{bench.name}: {ours}; {bench.extra_info}")
