"""Requests that are wrong, too much, too slow or hostile: refused with a reason, at nobody else's cost."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from l2l_engine.serve import Settings, uris
from l2l_engine.serve import server as server_room
from l2l_engine.serve.problems import RefusedError
from tests.serve.conftest import Running, Start
from tests.serve.test_predict import upload

FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def post(service: Running, content: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"{service.url}/predict", content=content, headers=headers, timeout=60)


def part(disposition: str, data: bytes = b"") -> bytes:
    return b"--x\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + data + b"\r\n"


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"steps": "many"}, 400, "steps must be an integer"),
        ({"steps": "0"}, 400, "steps must be at least 1"),
        ({"sampling": "all"}, 400, "sampling must be one of"),
        ({"colour": "red"}, 400, "colour"),
        ({"plan": "../etc"}, 404, "there are: tiny, other"),
        ({"budget_ms": "nan"}, 400, "budget_ms"),
    ],
)
def test_a_wrong_option_is_named(
    service: Running, video: Path, fields: dict[str, str], status: int, word: str
) -> None:
    response = upload(f"{service.url}/predict", video.read_bytes(), **fields)
    assert response.status_code == status
    assert word in response.json()["error"]
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "last boundary"),
        (b"--x\r\n" + b"\r\n" * 10, ""),
        (part('name="video"; filename="a"', b"12"), "last boundary"),
        (part('name="video"; filename="a"') * 3 + b"--x--", "one file"),
        (part('name="other"; filename="a"') + b"--x--", "field 'video'"),
        (part('name="steps"', b"2") + b"--x--", "field 'video'"),
        (b"".join(part(f'name="f{i}"', b"1") for i in range(1000)) + b"--x--", "32 fields"),
        (part('name="steps"', b"2" * 100_000) + b"--x--", "4096 bytes"),
        (b"--x\r\n" + b"".join(b"A%d: b\r\n" % i for i in range(5000)) + b"\r\n--x--", "cannot be read"),
        (b"--x\r\nContent-Disposition: " + b"a" * 60_000, "cannot be read"),
        (part("filename=") + b"--x--", "field 'video'"),
        (part("size=3") + b"--x--", "needs a name"),
    ],
)
def test_a_bomb_of_a_form(service: Running, body: bytes, word: str) -> None:
    response = post(service, body, **FORM)
    assert response.status_code == 400
    assert word in response.json()["error"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"hello", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"{}", 400),
        ("application/json", b"[" * 60_000, 400),
        ("application/json", b'{"uri": 3}', 400),
        ("application/json", b'{"uri": "' + b"x" * 70_000 + b'"}', 413),
        ("multipart/form-data", b"--x--", 400),
    ],
)
def test_what_is_no_request(service: Running, kind: str, body: bytes, status: int) -> None:
    assert post(service, body, **{"Content-Type": kind}).status_code == status


def test_compressed_bodies_are_refused(service: Running) -> None:
    assert post(service, b"bomb", **FORM, **{"Content-Encoding": "gzip"}).status_code == 415


def test_more_than_is_taken(service: Running) -> None:
    assert upload(f"{service.url}/predict", bytes(5_000_000)).status_code == 413

    def endless() -> Iterator[bytes]:
        yield part('name="video"; filename="a"')[:-2]
        for _ in range(100):
            yield bytes(65536)

    response = httpx.post(f"{service.url}/predict", content=endless(), headers=FORM, timeout=60)
    assert response.status_code == 413  # though no header said how much it would be
    assert list(service.service.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("file:///etc/passwd", 404),
        ("file:///etc/../proc/self/environ", 404),
        ("file://{root}/../../../../../../etc/passwd", 404),
        ("file://{root}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", 404),
        ("file://{root}/out.mp4", 404),  # a link that leads out
        ("file://{root}", 404),
        ("file://elsewhere{root}/a.mp4", 400),
        ("file://{root}/a%00b", 404),
        ("{root}/in side/a.mp4", 403),
        ("concat:/etc/passwd|/etc/hosts", 403),
        ("subfile,,start,0,end,0,,:/etc/passwd", 403),
        ("s3://bucket/key", 403),
        ("hdfs://10.0.0.1/a", 403),
        ("ftp://example.org/a.mp4", 403),
        ("http://127.0.0.1/a.mp4", 403),
        ("http://[::1]:8000/", 403),
        ("http://[::ffff:10.0.0.1]/", 403),
        ("http://[64:ff9b::a00:1]/", 403),
        ("http://[fe80::1]/", 403),
        ("http://169.254.169.254/latest/meta-data/", 403),
        ("http://0.0.0.0/", 403),
        ("http://100.64.0.1/", 403),
        ("http://224.0.0.1/", 403),
        ("https://inside.example/a.mp4", 403),  # a name that leads to 10.0.0.7
        ("https://mixed.example/a.mp4", 403),  # and one that leads there too
        ("http://user:word@93.184.216.34/", 400),
        ("http://93.184.216.34:99999/", 400),
        ("http:///a.mp4", 400),
        ("http://93.184.216.34/a\r\nHost: b", 400),
    ],
)
def test_uris_that_lead_where_they_must_not(
    service: Running, root: Path, uri: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*arguments: object, **options: object) -> socket.socket:
        raise AssertionError("nothing may be connected to")

    monkeypatch.setattr(uris.socket, "create_connection", connect)
    opener = service.service.opener
    with pytest.raises(RefusedError) as refused:
        opener.open(uri.replace("{root}", str(root)), service.service.free_path())
    assert refused.value.status == status
    assert "etc" not in str(refused.value)


def test_nothing_is_allowed_unless_it_is_said(start: Start, root: Path) -> None:
    there = start()
    uri = (root / "in side" / "a.mp4").as_uri()
    response = httpx.post(f"{there.url}/predict", json={"uri": uri}, timeout=60)
    assert response.status_code == 403
    assert "send the file itself" in response.json()["error"]
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../../etc/passwd", "/etc/passwd"):
        assert httpx.get(f"{there.url}{path}").status_code == 404


class FarServer(http.server.ThreadingHTTPServer):
    """Its clients leave early, which is nothing to print."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Far(http.server.BaseHTTPRequestHandler):
    """A server of the open internet, as far as the opener knows."""

    def do_GET(self) -> None:
        kind = self.path.strip("/")
        if kind.startswith("to:"):
            self.send_response(302)
            self.send_header("Location", kind[3:])
            self.end_headers()
            return
        self.send_response(404 if kind == "gone" else 200)
        if kind != "endless":
            self.send_header("Content-Length", "400" if kind == "short" else "200")
        self.end_headers()
        self.wfile.write(bytes(200))
        for _ in range(1000 if kind == "endless" else 0):
            self.wfile.write(bytes(1000))

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[uris.UriOpener]:
    """Resolves every name to a public address, at which the far server stands."""
    server = FarServer(("127.0.0.1", 0), Far)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connect = socket.create_connection

    def connect_there(address: tuple[str, int], timeout: float) -> socket.socket:
        assert address[0] == "93.184.216.34"
        return connect(server.server_address[:2], timeout)

    monkeypatch.setattr(uris.socket, "create_connection", connect_there)
    settings = Settings(plans={"a": tmp_path}, allow=("http",), max_bytes=100_000, upload_s=20)
    known = {"far.example": ["93.184.216.34"], "inside.example": ["192.168.1.1"]}
    yield uris.UriOpener(settings, lambda host, port: known[host])
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("gone", 422, "404"),
        ("short", 422, "IncompleteRead"),
        ("endless", 413, "100000"),
        ("to:http://inside.example/", 403, "open internet"),
        ("to:file:///etc/passwd", 403, "protocol"),
        ("to:/to:/to:/to:/to:/", 422, ""),
    ],
)
def test_fetching_what_cannot_be(
    opener: uris.UriOpener, tmp_path: Path, path: str, status: int, word: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        opener.open(f"http://far.example/{path}", tmp_path / "target")
    assert refused.value.status == status
    assert word in str(refused.value)


def test_fetching(opener: uris.UriOpener, tmp_path: Path) -> None:
    for uri in ("http://far.example/a", "http://far.example/to:/a"):
        assert opener.open(uri, tmp_path / "target").read_bytes() == bytes(200)


def test_a_full_queue_says_when_to_come_back(start: Start, video: Path) -> None:
    there = start(workers=1, queue=0)
    gate = threading.Event()
    queue = there.service.queue
    held = queue._pool.submit(gate.wait)
    first: list[httpx.Response] = []
    data = video.read_bytes()
    thread = threading.Thread(target=lambda: first.append(upload(f"{there.url}/predict", data)))
    thread.start()
    while not queue.in_work:
        assert thread.is_alive()
    response = upload(f"{there.url}/predict", data)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    gate.set()
    thread.join()
    held.result()
    assert first[0].status_code == 200


def test_waiting_ends(start: Start, video: Path) -> None:
    there = start(workers=1, queue=4, timeout_s=0.3)
    gate = threading.Event()
    held = there.service.queue._pool.submit(gate.wait)
    there.service.queue.in_work += 1
    there.service.queue._free._value -= 1  # the one place is taken
    response = upload(f"{there.url}/predict", video.read_bytes())
    assert response.status_code == 504
    gate.set()
    held.result()


def test_a_slow_upload_ends(start: Start) -> None:
    there = start(upload_s=0.5)
    with socket.create_connection(("127.0.0.1", there.port)) as client:
        head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
        client.sendall(f"{head}Content-Type: {FORM['Content-Type']}\r\n\r\n--x".encode())
        client.settimeout(30)
        assert client.recv(1000).startswith(b"HTTP/1.1 408")


def test_slow_headers_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_room, "_HEADER_S", 0.3)
    there = start()
    for words in (b"", b"GET / HTTP/1.1\r\nA: "):
        with socket.create_connection(("127.0.0.1", there.port)) as client:
            client.sendall(words)
            client.settimeout(30)
            assert client.recv(1000) == b""
    with socket.create_connection(("127.0.0.1", there.port)) as client:
        client.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        client.settimeout(30)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_flood_of_headers(service: Running) -> None:
    flood = b"".join(b"X-%d: %s\r\n" % (i, b"a" * 1000) for i in range(200))
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.settimeout(30)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + flood)
        try:
            answer = client.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431")
    assert httpx.get(f"{service.url}/v2/health/ready").status_code == 200


def test_an_aborted_upload_leaves_nothing(service: Running) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n"
        client.sendall(f"{head}Content-Type: {FORM['Content-Type']}\r\n\r\n".encode())
        client.sendall(part('name="video"; filename="a"', bytes(3000)))
        while not service.service.receiving:
            pass
    while service.service.receiving:
        pass
    assert httpx.get(f"{service.url}/about").status_code == 200
    assert list(service.service.folder.iterdir()) == []


def test_a_client_that_left_is_not_worked_for(start: Start, video: Path) -> None:
    there = start(workers=1)
    gate = threading.Event()
    held = there.service.queue._pool.submit(gate.wait)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{there.url}/predict", files={"video": ("a", video.read_bytes())}, timeout=1)
    gate.set()
    held.result()
    errors = 'l2l_errors_total{kind="aborted"} 1.0'
    while errors not in httpx.get(f"{there.url}/metrics").text:
        assert 'route="/predict",status="200"' not in httpx.get(f"{there.url}/metrics").text


def test_a_fault_of_ours_is_told_and_logged(
    start: Start, video: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there = start()

    def broken(*arguments: object, **options: object) -> object:
        raise KeyError("secret")

    monkeypatch.setattr("l2l_engine.classifier.Classifier.predict", broken)
    response = upload(f"{there.url}/predict", video.read_bytes())
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["kind"] == "fault"
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"plans": {}}, "needs a plan"),
        ({"plans": {"a/b": Path()}}, "a/b"),
        ({"workers": 0}, "workers"),
        ({"queue": -1}, "queue"),
        ({"allow": ("ftp",)}, "ftp"),
        ({"allow": ("file",)}, "root"),
        ({"timeout_s": 0.0}, "timeout_s"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Settings(**({"plans": {"a": Path()}} | settings))  # type: ignore[arg-type]
