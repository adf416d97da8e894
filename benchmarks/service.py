"""The service under load: good, bad, huge, slow, aborted and hostile requests, and a signal in the middle.

Run: python -m benchmarks.service [--seconds 300] [--clients 8]

What it prints: seconds of good requests alone, then at half load beside all the others, which statuses came,
the service's memory over time, what became of requests that were under way when SIGTERM came, and the rate of
a bare Classifier with as many threads in work.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks import results
from l2l_engine import Classifier

ROOT = Path(__file__).parents[1]
PLAN = ROOT / "demo" / "demo.plan"
VIDEO = ROOT / "demo" / "ring-spinning.mp4"
WORKERS = 2
MOST_BYTES = 4_000_000
URIS = (
    "file:///etc/passwd",
    "concat:/etc/passwd|/etc/hosts",
    "http://127.0.0.1/",
    "http://169.254.169.254/latest/",
    "http://[::1]/",
    "http://localhost/",
)


@dataclass
class Outcome:
    """What became of requests."""

    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Seconds that this share of the good requests took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Load:
    """Clients of one service."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self.video = VIDEO.read_bytes()
        self.good, self.others = Outcome(), Outcome()
        self._lock = threading.Lock()

    def ask(self) -> None:
        """One good request."""
        begin = time.perf_counter()
        try:
            response = httpx.post(f"{self.url}/predict", files={"video": ("a.mp4", self.video)}, timeout=90)
            status = str(response.status_code)
        except httpx.TransportError as error:
            status = type(error).__name__
        with self._lock:
            self.good.statuses[status] += 1
            if status == "200":
                self.good.seconds.append(time.perf_counter() - begin)

    def trouble(self, kind: str) -> None:
        """One request of another kind; any answer will do, so long as it is no fault of the service."""
        try:
            status = getattr(self, f"_{kind}")()
        except (httpx.TransportError, OSError) as error:
            status = type(error).__name__
        with self._lock:
            self.others.statuses[f"{kind} {status}"] += 1

    def _post(self, path: str = "/predict", **content: Any) -> str:
        return str(httpx.post(f"{self.url}{path}", timeout=60, **content).status_code)

    def _bad(self) -> str:
        damaged = bytearray(self.video)
        for _ in range(200):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        return self._post(files={"video": ("a.mp4", bytes(damaged[: random.randrange(1, len(damaged))]))})

    def _huge(self) -> str:
        return self._post(files={"video": ("a.mp4", bytes(MOST_BYTES + 100_000))})

    def _bomb(self) -> str:
        part = b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n'
        body = b"".join(part % number for number in range(20_000))
        return self._post(content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})

    def _hostile(self) -> str:
        return self._post(json={"uri": random.choice(URIS)})

    def _traversal(self) -> str:
        return str(httpx.get(f"{self.url}/..%2f..%2fetc/passwd", timeout=60).status_code)

    def _flood(self) -> str:
        headers = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(200))
        return self._raw(b"GET / HTTP/1.1\r\nHost: a\r\n" + headers)

    def _raw(self, data: bytes) -> str:
        with socket.create_connection(self.address, 30) as client:
            client.sendall(data)
            return client.recv(64)[9:12].decode("ascii", "replace") or "closed"

    def _head(self) -> bytes:
        return (
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 100000\r\n\r\n--x\r\n"
        )

    def _aborted(self) -> str:
        with socket.create_connection(self.address, 30) as client:
            client.sendall(self._head() + bytes(1000))
        return "left"

    def _slow(self) -> str:
        with socket.create_connection(self.address, 30) as client:
            client.sendall(self._head())
            client.settimeout(1.0)  # a byte a second
            for _ in range(600):
                client.sendall(b"a")
                try:
                    return client.recv(64)[9:12].decode("ascii", "replace") or "closed"
                except TimeoutError:
                    continue
        return "never ended"


TROUBLES = ("bad", "huge", "bomb", "hostile", "traversal", "flood", "aborted", "slow")


@contextmanager
def serving(upload_s: float) -> Iterator[tuple[subprocess.Popen[str], str, list[dict[str, Any]]]]:
    """``l2l serve`` as a process, its address, and its log as it comes."""
    command = [sys.executable, "-m", "l2l_engine.cli", "serve", "--plan", str(PLAN), "--port", "0"]
    command += ["--workers", str(WORKERS), "--max-bytes", str(MOST_BYTES), "--allow", "http,https"]
    command += ["--upload-timeout", str(upload_s)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told: list[dict[str, Any]] = []
    listening = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            try:
                told.append(json.loads(line))
            except ValueError:
                told.append({"event": "not JSON", "line": line.rstrip()})
            if "running on" in told[-1]["event"]:
                listening.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if not listening.wait(120):
            raise RuntimeError(f"the service did not start: {told}")
        url = next(entry["event"].split()[3] for entry in told if "running on" in entry["event"])
        yield process, url, told
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def paced(work: Callable[[], None], rate: float, until: float, pool: ThreadPoolExecutor) -> None:
    """Begin ``work`` so many times a second, whether or not what came before is done."""
    due = time.monotonic()
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        pool.submit(work)
        due += 1 / rate


def _megabytes(process: subprocess.Popen[str]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def bare(seconds: float) -> float:
    """Predictions a second of a Classifier with as many in work, in this process."""
    done = 0
    with Classifier(PLAN) as classifier, ThreadPoolExecutor(WORKERS) as pool:
        classifier.warmup()
        until = time.monotonic() + seconds

        def work() -> int:
            count = 0
            while time.monotonic() < until:
                classifier.predict(VIDEO)
                count += 1
            return count

        begin = time.monotonic()
        done = sum(future.result() for future in [pool.submit(work) for _ in range(WORKERS)])
        return done / (time.monotonic() - begin)


def mixed(
    load: Load, process: subprocess.Popen[str], rate: float, seconds: float, clients: int
) -> list[float]:
    """Good requests at a rate, the others from ``clients`` threads; the memory at every tenth of the time."""
    until = time.monotonic() + seconds
    memory: list[float] = []

    def annoy(number: int) -> None:
        turn = number
        while time.monotonic() < until:
            load.trouble(TROUBLES[turn % len(TROUBLES)])
            turn += 1
            time.sleep(0.2)

    def measure() -> None:
        while time.monotonic() < until:
            memory.append(_megabytes(process))
            time.sleep(seconds / 10)

    others = [threading.Thread(target=annoy, args=(number,)) for number in range(clients)]
    others.append(threading.Thread(target=measure))
    for thread in others:
        thread.start()
    with ThreadPoolExecutor(64) as pool:
        paced(load.ask, rate, until, pool)
    for thread in others:
        thread.join()
    return memory


def ended(
    load: Load, process: subprocess.Popen[str], told: list[dict[str, Any]], clients: int
) -> dict[str, int]:
    """What became of requests when SIGTERM came under load."""
    answers: dict[str, int | None] = {}

    def ask(name: str) -> None:
        files, headers = {"video": ("a.mp4", load.video)}, {"X-Request-ID": name}
        try:
            response = httpx.post(f"{load.url}/predict", files=files, headers=headers, timeout=90)
            answers[name] = response.status_code
        except httpx.TransportError:
            answers[name] = None

    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(ask, f"end-{number}") for number in range(clients * 4)]
        asked[1].result()
        process.send_signal(signal.SIGTERM)
        for future in asked:
            future.result()
    process.wait(120)
    time.sleep(0.5)  # the reader of the log is behind the process
    let_in = {entry["request_id"]: entry["status"] for entry in told if entry["event"] == "request"}
    let_in = {name: status for name, status in let_in.items() if name.startswith("end-")}
    lost = sum(answers.get(name) != status for name, status in let_in.items())
    return {"let in": len(let_in), "answered": len(let_in) - lost, "lost": lost}


def _ask_until(load: Load, until: float) -> None:
    while time.monotonic() < until:
        load.ask()


def measure(seconds: float, clients: int, upload_s: float) -> dict[str, Any]:
    """All of it."""
    rate = bare(seconds / 4)
    with serving(upload_s) as (process, url, told):
        load = Load(url)
        until = time.monotonic() + seconds / 4
        while time.monotonic() < until:
            load.ask()
        idle, load.good = load.good, Outcome()
        served = Load(url)
        until = time.monotonic() + seconds / 4
        with ThreadPoolExecutor(WORKERS + 1) as pool:
            for _ in range(WORKERS + 1):
                pool.submit(_ask_until, served, until)
        capacity = len(served.good.seconds) / (seconds / 4)
        memory = mixed(load, process, max(0.2, capacity / 2), seconds, clients)
        faults = {entry["request_id"] for entry in told if entry.get("kind") == "fault"}
        odd = {entry["line"] for entry in told if entry["event"] == "not JSON"}
        end = ended(load, process, told, clients)
    return {
        "bare Classifier, predictions a second": round(rate, 2),
        "service, predictions a second": round(capacity, 2),
        "idle p50 and p99, seconds": [round(idle.percentile(share), 3) for share in (0.5, 0.99)],
        "half load p50 and p99, seconds": [round(load.good.percentile(share), 3) for share in (0.5, 0.99)],
        "half load requests": len(load.good.seconds),
        "good": dict(load.good.statuses),
        "others": dict(sorted(load.others.statuses.items())),
        "faults": len(faults),
        "lines that are no JSON": sorted(odd),
        "memory, MB": [round(value) for value in memory],
        "memory grew by, MB": round(statistics.median(memory[-3:]) - statistics.median(memory[2:5]), 1),
        "SIGTERM": end,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--upload-timeout", type=float, default=20.0)
    parser.add_argument("--output", type=Path, help="a results file to write besides")
    chosen = parser.parse_args()
    run = results.this_run()
    found = measure(chosen.seconds, chosen.clients, chosen.upload_timeout)
    print(json.dumps(found, indent=1))
    if chosen.output is not None:
        whole = {
            "machine": results.machine(),
            "run": run,
            "seconds": chosen.seconds,
            "clients": chosen.clients,
        }
        chosen.output.write_text(json.dumps(whole | {"found": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
