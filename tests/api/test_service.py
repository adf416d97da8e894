"""The example service, over a real socket on the loopback interface."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn

from l2l_engine import Classifier, Prediction

EXAMPLE = Path(__file__).parents[2] / "examples" / "service.py"


@pytest.fixture(scope="module")
def service(plan_file: Path) -> Iterator[str]:
    spec = importlib.util.spec_from_file_location("service", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2L_PLAN", str(plan_file))
        server = uvicorn.Server(uvicorn.Config(module.app, host="127.0.0.1", port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


def test_concurrent_uploads(service: str, video: Path, silent_video: bytes, classifier: Classifier) -> None:
    inputs = [video.read_bytes(), silent_video] * 4
    expected = [classifier.predict(data) for data in inputs[:2]]

    def upload(data: bytes) -> Prediction:
        files = {"video": ("upload.mp4", data, "video/mp4")}
        response = httpx.post(f"{service}/predict", files=files, timeout=60)
        assert response.status_code == 200
        return Prediction.from_dict(response.json())

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(upload, inputs))
    for index, answer in enumerate(answers):
        assert answer.path == "upload.mp4"
        assert answer.moments == expected[index % 2].moments
        assert (answer.probabilities == expected[index % 2].probabilities).all()


def test_a_bad_upload_is_the_clients_error(service: str, video: Path) -> None:
    bad = httpx.post(f"{service}/predict", files={"video": ("a.mp4", b"no video")}, timeout=60)
    assert bad.status_code == 422
    assert "error" in bad.json()
    assert httpx.post(f"{service}/predict", data={"other": "field"}, timeout=60).status_code == 400
    good = httpx.post(f"{service}/predict", files={"video": ("a.mp4", video.read_bytes())}, timeout=60)
    assert good.status_code == 200
