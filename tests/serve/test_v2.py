"""The Open Inference Protocol, by a client that others wrote."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from l2l_engine import Classifier, Prediction
from l2l_engine.result import Segment
from tests.docs.pages import ROOT, blocks
from tests.serve.conftest import Running


@pytest.fixture
def client(service: Running) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(service.url.removeprefix("http://"), network_timeout=60.0)
    yield client
    client.close()


def ask(client: triton.InferenceServerClient, data: bytes, **options: object) -> triton.InferResult:
    video = triton.InferInput("video", [1], "BYTES")
    video.set_data_from_numpy(np.array([data], np.object_))
    return client.infer("other", [video], **options)


def test_it_describes_itself(client: triton.InferenceServerClient, classifier: Classifier) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    told = client.get_model_metadata("tiny", "1")
    assert [entry["name"] for entry in told["inputs"]] == ["video"]
    shapes = {entry["name"]: (entry["datatype"], entry["shape"]) for entry in told["outputs"]}
    assert shapes == {
        "label": ("BYTES", [1]),
        "probabilities": ("FP32", [len(classifier.class_names)]),
        "segments": ("BYTES", [1]),
    }


@pytest.mark.parametrize("binary", [True, False])
def test_the_same_answer_as_predict(
    client: triton.InferenceServerClient, classifier: Classifier, video: Path, binary: bool
) -> None:
    expected = classifier.predict(video, steps=3)
    names = ("label", "probabilities", "segments")
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    result = ask(client, video.read_bytes(), outputs=outputs, request_id="7", parameters={"steps": 3})
    assert result.get_response()["id"] == "7"
    assert result.as_numpy("label")[0] in (expected.label, expected.label.encode())
    assert (result.as_numpy("probabilities") == expected.probabilities).all()
    (segment,) = json.loads(result.as_numpy("segments")[0])
    assert (segment["start"], segment["end"]) == (0.0, expected.media.duration)  # type: ignore[union-attr]
    assert [moment["look_at"] for moment in segment["moments"]] == [m.look_at for m in expected.moments]


def test_segments_of_a_plan_that_says_when(
    service: Running, client: triton.InferenceServerClient, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protocol, JSON and the page carry them, names of any kind and none at all."""
    plan = service.service.models.get("other")[1]
    found = (Segment('say "hi" </script>\n', 0.5, 2.25, 0.75), Segment("映画", 2.0, 6.0, 0.5))
    predict = plan.predict

    def with_segments(*arguments: object, **options: object) -> Prediction:
        return replace(predict(*arguments, **options), segments=found)

    monkeypatch.setattr(plan, "predict", with_segments)
    told = json.loads(ask(client, video.read_bytes()).as_numpy("segments")[0])
    expected = [(s.start_s, s.end_s, s.label, s.score, True) for s in found]
    assert [tuple(s[k] for k in ("start", "end", "label", "confidence", "known")) for s in told] == expected
    for stretch in told:
        for moment in stretch["moments"]:
            times = (moment["look_at"], moment["listen_to"])
            assert any(stretch["start"] <= at < stretch["end"] for at in times)
    chosen = {moment["step"] for stretch in told for moment in stretch["moments"]}
    assert chosen == {m.step for m in predict(video).moments if max(m.look_at or 0, m.listen_to or 0) >= 0.5}
    sent = {"files": {"video": ("a.mp4", video.read_bytes())}, "data": {"plan": "other"}, "timeout": 60}
    answer = Prediction.from_json(httpx.post(f"{service.url}/predict", **sent).text)  # type: ignore[arg-type]
    assert answer.segments == found
    page = httpx.post(f"{service.url}/timeline", **sent).text  # type: ignore[arg-type]
    assert "say &quot;hi&quot; &lt;/script&gt;\\n, 0:00.5 to 0:02.2, 75.0%" in page
    found = ()
    assert json.loads(ask(client, video.read_bytes()).as_numpy("segments")[0]) == []


def test_without_outputs_named_all_come(client: triton.InferenceServerClient, silent_video: bytes) -> None:
    result = ask(client, silent_video)
    assert {output["name"] for output in result.get_response()["outputs"]} == {
        "label",
        "probabilities",
        "segments",
    }


def test_json_alone(service: Running, classifier: Classifier, silent_video: bytes) -> None:
    text = base64.b64encode(silent_video).decode()
    request = {"inputs": [{"name": "video", "datatype": "BYTES", "shape": [1], "data": [text]}]}
    response = httpx.post(f"{service.url}/v2/models/tiny/infer", json=request, timeout=60).json()
    outputs = {output["name"]: output["data"] for output in response["outputs"]}
    assert outputs["label"] == [classifier.predict(silent_video).label]


def test_a_bad_video_is_the_clients_error(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="video"):
        ask(client, b"no video")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"inputs": []}, "one input"),
        ({"inputs": 3}, "array"),
        ({"inputs": [{"name": "video", "datatype": "FP32", "shape": [1]}]}, "BYTES"),
        ({"inputs": [{"name": "video", "datatype": "BYTES", "shape": [2]}]}, "shape"),
        ({"inputs": [{"name": "video", "datatype": "BYTES", "shape": [1], "data": ["?"]}]}, "base64"),
        ({"outputs": [{"name": "other"}]}, "no output"),
        ({"outputs": [{"name": "label", "parameters": {"classification": 3}}]}, "classification"),
        ({"parameters": {"steps": 0}}, "steps"),
        ({"parameters": {"colour": 1}}, "colour"),
    ],
)
def test_what_is_no_request(service: Running, change: dict[str, object], word: str) -> None:
    good = {"inputs": [{"name": "video", "datatype": "BYTES", "shape": [1], "data": ["AAAA"]}]}
    response = httpx.post(f"{service.url}/v2/models/tiny/infer", json=good | change, timeout=60)
    assert response.status_code == 400
    assert word in response.json()["error"]


@pytest.mark.parametrize(
    ("length", "tail"),
    [("0", b""), ("x", b""), ("99999999", b""), ("{}", b""), ("{}", b"\xff\xff\xff\xff"), ("{}", bytes(9))],
)
def test_binary_data_that_does_not_add_up(service: Running, length: str, tail: bytes) -> None:
    video = {"name": "video", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 100}}
    head = json.dumps({"inputs": [video]}).encode()
    headers = {"Inference-Header-Content-Length": length.replace("{}", str(len(head)))}
    url = f"{service.url}/v2/models/tiny/infer"
    response = httpx.post(url, content=head + tail, headers=headers, timeout=60)
    assert response.status_code == 400


def test_what_the_page_tells_to_do(
    service: Running,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    classifier: Classifier,
) -> None:
    (code,) = blocks(ROOT / "docs" / "service.md", "py")
    (tmp_path / "clip.mp4").write_bytes(video.read_bytes())
    monkeypatch.chdir(tmp_path)
    here = code.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}").replace('"engine"', '"tiny"')
    exec(compile(here, "docs/service.md", "exec"), names := {})  # type: ignore[var-annotated]
    names["client"].close()
    assert classifier.predict(video, steps=5).label in capsys.readouterr().out


def test_versions(service: Running) -> None:
    assert httpx.get(f"{service.url}/v2/models/tiny/versions/1").status_code == 200
    assert httpx.get(f"{service.url}/v2/models/tiny/versions/2").status_code == 404
