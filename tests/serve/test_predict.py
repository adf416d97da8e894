"""Videos in, answers out: over HTTP as from Python."""

from __future__ import annotations

import importlib.util
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from l2l_engine import Classifier, Prediction
from l2l_engine.call import AskOptions
from l2l_engine.serve.options import OPTIONS, from_form
from l2l_engine.serve.problems import RefusedError
from tests.serve.conftest import Running, Start

EXAMPLE = Path(__file__).parents[2] / "examples" / "service.py"


def upload(url: str, data: bytes, **fields: str) -> httpx.Response:
    files = {"video": ("C:\\clips\\mine.mp4", data, "video/mp4")}
    return httpx.post(url, files=files, data=fields, timeout=60)


def test_concurrent_uploads(
    service: Running, video: Path, silent_video: bytes, classifier: Classifier
) -> None:
    inputs = [video.read_bytes(), silent_video] * 4
    expected = [classifier.predict(data) for data in inputs[:2]]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda data: upload(f"{service.url}/predict", data), inputs))
    for index, response in enumerate(answers):
        assert response.status_code == 200
        answer = Prediction.from_dict(response.json())
        assert answer.path == "mine.mp4"
        assert answer.moments == expected[index % 2].moments
        assert (answer.probabilities == expected[index % 2].probabilities).all()
    assert list(service.service.folder.iterdir()) == []  # nothing is kept


def test_options_and_plans_are_those_of_python(service: Running, video: Path, classifier: Classifier) -> None:
    assert set(OPTIONS) == set(AskOptions.__annotations__)
    response = upload(
        f"{service.url}/predict", video.read_bytes(), plan="other", steps="2", top_k="1", max_knots="3"
    )
    expected = classifier.predict(video, steps=2, top_k=1, max_knots=3)
    answer = Prediction.from_dict(response.json())
    assert (answer.steps, answer.top_k, answer.moments) == (2, expected.top_k, expected.moments)


def test_fields_of_a_form_become_what_they_mean() -> None:
    fields = {"steps": "3", "budget_ms": "1.5", "sampling": "exact", "refine": "False", "top_k": ""}
    assert from_form(fields) == {"steps": 3, "budget_ms": 1.5, "sampling": "exact", "refine": False}
    for name, text, kind in (("steps", "x", "an integer"), ("refine", "perhaps", "true or false")):
        with pytest.raises(RefusedError, match=f"{name} must be {kind}"):
            from_form({name: text})


def test_a_uri_of_an_allowed_file(service: Running, root: Path, classifier: Classifier) -> None:
    path = root / "in side" / "a.mp4"
    asked = {"uri": path.as_uri(), "steps": 3, "sampling": "exact"}
    response = httpx.post(f"{service.url}/predict", json=asked, timeout=60)
    assert response.status_code == 200, response.text
    answer = Prediction.from_dict(response.json())
    assert answer.moments == classifier.predict(path, steps=3, sampling="exact").moments
    assert path.exists()  # it is not ours to remove


def test_the_page_of_a_video(service: Running, video: Path) -> None:
    response = upload(f"{service.url}/timeline", video.read_bytes())
    assert response.headers["content-type"].startswith("text/html")
    assert "mine.mp4" in response.text
    assert "data:image/jpeg;base64," in response.text


def test_every_request_has_an_id(service: Running) -> None:
    assert (
        httpx.get(f"{service.url}/about", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"]
        == "mine-1"
    )
    ids = {
        httpx.get(f"{service.url}/about", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
        for _ in "12"
    }
    assert len(ids) == 2
    assert "a b" not in ids


def test_it_says_what_it_is(service: Running, classifier: Classifier) -> None:
    told = httpx.get(f"{service.url}/about").json()
    assert [plan["name"] for plan in told["plans"]] == ["tiny", "other"]
    assert told["plans"][0]["classes"] == list(classifier.class_names)
    described = httpx.get(f"{service.url}/openapi.json").json()
    validate(described)
    routes = {route.path for route in service.server.config.app.routes}  # type: ignore[union-attr]
    versions = {path for path in routes if "{version}" in path}  # the protocol's other spelling of the same
    assert set(described["paths"]) == routes - versions - {"/", "/openapi.json"}


def test_metrics_count(service: Running, video: Path) -> None:
    def read() -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(httpx.get(f"{service.url}/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples}

    before = read()
    assert upload(f"{service.url}/predict", video.read_bytes()).status_code == 200
    assert upload(f"{service.url}/predict", b"no video").status_code == 422
    after = read()

    def grown(*name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("l2l_requests_total", "/predict", "200") == 1
    assert grown("l2l_errors_total", "media") == 1
    assert grown("l2l_video_hours_total", "tiny") == pytest.approx(6 / 3600, rel=0.02)
    assert grown("l2l_stage_seconds_count", "skim") == 1
    assert after[("l2l_queue_waiting",)] == after[("l2l_queue_in_work",)] == 0


def test_progress_is_told_by_the_request_id(start: Start, video: Path) -> None:
    there = start(workers=1)
    gate = threading.Event()
    held = there.service.queue._pool.submit(gate.wait)  # the one thread is busy
    answer: list[httpx.Response] = []

    def ask() -> None:
        files = {"video": ("a.mp4", video.read_bytes())}
        headers = {"X-Request-ID": "mine"}
        answer.append(httpx.post(f"{there.url}/predict", files=files, headers=headers, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    seen = {"state": ""}
    while seen.get("state") != "waiting":
        seen = httpx.get(f"{there.url}/progress/mine").json()
        assert thread.is_alive()
    gate.set()
    thread.join()
    held.result()
    assert answer[0].status_code == 200
    assert httpx.get(f"{there.url}/progress/mine").status_code == 404


def test_the_example_embeds_it(plan_file: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2L_PLAN", str(plan_file))
    spec = importlib.util.spec_from_file_location("service", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with TestClient(module.app) as client:
        assert client.get("/").text == "ours"
        response = client.post("/l2l/predict", files={"video": ("a.mp4", video.read_bytes())})
        assert response.status_code == 200
        assert "label" in json.loads(response.text)
