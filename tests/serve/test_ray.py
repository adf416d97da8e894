"""The deployment for Ray Serve, on a Ray of this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
import httpx, ray
from ray import serve
import ray_serve

ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
serve.run(ray_serve.app)
url = f"http://127.0.0.1:{sys.argv[2]}"
with open(sys.argv[1], "rb") as video:
    answer = httpx.post(f"{url}/predict", files={"video": video}, timeout=120)
ready = httpx.get(f"{url}/v2/health/ready").status_code
print("ANSWER", json.dumps([answer.status_code, ready, answer.json()]))
serve.shutdown()
ray.shutdown()
"""


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_deployment_answers_what_the_classifier_does() -> None:
    pytest.importorskip("ray.serve")
    from l2l_engine import Classifier

    plan, video = ROOT / "demo" / "demo.plan", ROOT / "demo" / "ring-spinning.mp4"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"L2L_PLAN": str(plan), "PYTHONPATH": str(ROOT / "examples")}
    # A machine that is busy takes its time to start.
    slow = ("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S")
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "300"} | dict.fromkeys(
        slow, "120"
    )
    command = [sys.executable, "-c", PROGRAM, str(video), str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert lines, done.stdout + done.stderr
    status, ready, answer = json.loads(lines[0].removeprefix("ANSWER "))
    assert (status, ready) == (200, 200)
    with Classifier(plan) as classifier:
        expected = classifier.predict(video)
    assert answer["label"] == expected.label
    assert answer["probabilities"] == pytest.approx(expected.probabilities.tolist(), abs=0.0)
