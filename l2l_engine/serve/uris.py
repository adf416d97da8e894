"""URIs that requests name: what may be opened, and fetching it without being led inside the network."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from l2l_engine.serve.problems import RefusedError, bad_request, too_large
from l2l_engine.serve.settings import OBJECT_STORES, Settings

_PIECE = 256 * 1024
_MOST_REDIRECTS = 3
_CONNECT_S = 10.0
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""IPv6 addresses that gateways translate to whatever IPv4 address is in them."""

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a host, as the system has them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(address: str) -> bool:
    """Whether an address is of the open internet: not private, loopback, link-local, multicast, reserved."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        hidden = parsed.ipv4_mapped or parsed.sixtofour
        if parsed.teredo is not None or any(parsed in network for network in _TRANSLATED):
            return False
        if hidden is not None:
            return is_public(str(hidden))
    return parsed.is_global and not parsed.is_multicast


@dataclass(frozen=True, slots=True)
class UriOpener:
    """Turns URIs into files.

    Attributes:
        settings: Say which protocols are allowed, where files may lie, how large and how slow one may be.
        resolve: Gives a host's addresses.
    """

    settings: Settings
    resolve: Resolve = resolve

    def open(self, uri: str, target: Path) -> Path | str:
        """The file that a URI names: where it lies, or ``target``, into which it was fetched.

        An object of a store is left there: it is read by ranges, so that little of a long one travels.

        Nothing is connected to before every address of its host is known to be a public one, and then to that
        very address: a name that leads elsewhere a moment later, or a redirection, gains nothing.

        Raises:
            RefusedError: It may not be opened, cannot be, or is too large or too slow.
        """
        parts = self._parsed(uri)
        if parts.scheme == "file":
            return self._local(parts)
        if parts.scheme in OBJECT_STORES:
            return uri
        until = time.monotonic() + self.settings.upload_s
        for _ in range(_MOST_REDIRECTS + 1):
            onward = self._fetch(parts, target, until)
            if onward is None:
                return target
            parts = self._parsed(onward)
            if parts.scheme not in ("http", "https"):
                raise _forbidden("it is redirected to another protocol")
        raise RefusedError(422, "uri", f"uri: redirected more than {_MOST_REDIRECTS} times")

    def _parsed(self, uri: str) -> SplitResult:
        try:
            parts = urlsplit(uri)
            _ = parts.port
        except ValueError as error:
            raise bad_request(f"uri: {error}") from None
        if parts.scheme not in self.settings.allow:
            allowed = ", ".join(self.settings.allow) or "none: send the file itself"
            raise _forbidden(f"its protocol is not allowed here; allowed are {allowed}")
        if any(ord(letter) <= 32 or ord(letter) >= 127 for letter in uri):
            raise bad_request("uri: must be printable ASCII; spell other characters as %XX")
        return parts

    def _local(self, parts: SplitResult) -> Path:
        root = self.settings.root
        assert root is not None  # the settings see to it
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise bad_request("uri: a file's is file:///PATH")
        try:
            path = Path(unquote(parts.path)).resolve(strict=True)
        except (OSError, ValueError):
            path = None
        # Whether there is something outside of the root is nobody's business.
        if path is None or not path.is_relative_to(root.resolve()) or not path.is_file():
            raise RefusedError(404, "not_found", "uri: no such file")
        return path

    def _fetch(self, parts: SplitResult, target: Path, until: float) -> str | None:
        """Fetch it into ``target``; or where it is redirected to."""
        host = parts.hostname
        if not host or "@" in parts.netloc:
            raise bad_request("uri: needs a host, and takes no user name")
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        connection = _Pinned(host, port, self._public_address(host, port), parts.scheme == "https")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with closing(connection), connection.ended_at(until):
                connection.request("GET", path, headers={"Accept-Encoding": "identity"})
                with connection.getresponse() as response:
                    if response.status in {301, 302, 303, 307, 308}:
                        return urljoin(parts.geturl(), response.getheader("Location", ""))
                    if response.status != 200:
                        raise RefusedError(422, "uri", f"uri: its server answers {response.status}")
                    self._save(response, target, until)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= until:
                raise RefusedError(422, "uri", f"uri: did not come in {self.settings.upload_s:g} s") from None
            raise RefusedError(422, "uri", f"uri: cannot be fetched: {type(error).__name__}") from error
        return None

    def _public_address(self, host: str, port: int) -> str:
        try:
            addresses = self.resolve(host, port)
        except (OSError, UnicodeError):
            raise RefusedError(422, "uri", "uri: there is no such host") from None
        if not addresses or not all(map(is_public, addresses)):
            raise _forbidden("its host is not one of the open internet")
        return addresses[0]

    def _save(self, response: http.client.HTTPResponse, target: Path, until: float) -> None:
        most = self.settings.max_bytes
        if response.length is not None and response.length > most:
            raise too_large(most)
        taken, declared = 0, response.length
        with target.open("wb") as file:
            while piece := response.read(_PIECE):
                taken += len(piece)
                if taken > most:
                    raise too_large(most)
                if time.monotonic() >= until:
                    raise TimeoutError
                file.write(piece)
        if declared is not None and taken < declared:
            raise http.client.IncompleteRead(b"", declared - taken)


def _forbidden(why: str) -> RefusedError:
    return RefusedError(403, "forbidden_uri", f"uri: {why}")


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever the host's name leads to by now."""

    def __init__(self, host: str, port: int, address: str, secure: bool) -> None:
        super().__init__(host, port, timeout=_CONNECT_S)
        self._address, self._secure = address, secure
        self.default_port = 443 if secure else 80

    def connect(self) -> None:
        """Connect to the address; a certificate has to be for the name."""
        self.sock = socket.create_connection((self._address, self.port), _CONNECT_S)
        if self._secure:
            context = ssl.create_default_context()
            secured = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = secured  # before the handshake, so that a slow one is ended too
            secured.do_handshake()

    def ended_at(self, until: float) -> closing[_Alarm]:
        """End it at that time, though the other side sends a byte now and then."""
        return closing(_Alarm(self, until))


class _Alarm:
    def __init__(self, connection: _Pinned, until: float) -> None:
        self._connection = connection
        self._timer = threading.Timer(max(0.0, until - time.monotonic()), self._ring)
        self._timer.daemon = True
        self._timer.start()

    def _ring(self) -> None:
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """It came in time."""
        self._timer.cancel()
