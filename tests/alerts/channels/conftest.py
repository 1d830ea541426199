"""The other side of channels: a certificate, an HTTPS server that answers as it is told, and parcels to send."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerts.channel import ChannelTools, Parcel
from alerts.message import AreaName, Grouped, alert_body
from command.domain.alert import Alert, Severity
from command.domain.geo import Position
from command.domain.ids import delivery_id
from command.domain.realm import Realm

AT_US = 1_795_304_465_000_000  # 2026-11-21T23:41:05Z


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, key_file = folder / "receiver.crt", folder / "receiver.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, key_file


@pytest.fixture(scope="session")
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@dataclass
class Answer:
    """What a receiver says. trickle: it sends a header's letters one by one, for ever."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    trickle: bool = False


@dataclass
class Heard:
    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """An HTTPS server. It gives the answers in `answers`, then 200 for ever."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.answers: deque[Answer] = deque()
        self.heard: list[Heard] = []
        self.ending = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.serve(self)

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            def handle_error(self, *_: object) -> None: ...

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/alerts?for=customs"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.heard.append(Heard(request.path, {k.lower(): v for k, v in request.headers.items()}, body))
        answer = self.answers.popleft() if self.answers else Answer()
        while answer.trickle and not self.ending.wait(0.05):
            request.wfile.write(b"H")
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        request.wfile.write(answer.body)

    def close(self) -> None:
        self.ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver(server_tls: ssl.SSLContext) -> Iterator[Receiver]:
    server = Receiver(server_tls)
    yield server
    server.close()


def an_alert(**changes: Any) -> Alert:
    facts: dict[str, Any] = {
        "alert_id": uuid.UUID("8d9a2b0c-3a51-5e0f-9a3d-51f2f7a0c001"),
        "revision": 1,
        "realm": "live",
        "rule": "geofence_entry",
        "severity": Severity.CRITICAL,
        "subject": "mmsi:431002123",
        "subject_label": "第八海進丸",
        "area": "izuhara",
        "track_id": None,
        "position": Position(lon=129.2895, lat=34.2014),
        "because": "because.geofence_entry",
        "because_params": {
            "subject": "第八海進丸",
            "area": {"ja": "厳原湾", "en": "Izuhara bay"},
            "since_us": AT_US,
            "stay_s": 0,
        },
        "evidence": (),
        "opened_at_us": AT_US,
        "observed_at_us": AT_US,
        "recorded_at_us": AT_US + 250_000,
    }
    return Alert(**(facts | changes))


def a_parcel(channel: str, *, grouped: Grouped | None = None, **changes: Any) -> Parcel:
    """A stored delivery of an alert by a channel."""
    alert = an_alert(**changes)
    return Parcel(
        delivery_id=delivery_id(alert.alert_id, alert.revision, channel),
        alert_id=alert.alert_id,
        revision=alert.revision,
        body=alert_body(
            alert, area_name=AreaName(ja="厳原湾", en="Izuhara bay") if alert.area else None, grouped=grouped
        ),
    )


@pytest.fixture(scope="session")
def parcel() -> Callable[..., Parcel]:
    return a_parcel


@pytest.fixture(scope="session")
def alert() -> Callable[..., Alert]:
    return an_alert


@pytest.fixture(scope="session")
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def tools() -> ChannelTools:
    """Of the realm live, which knows no area and no earlier message."""
    return ChannelTools(realm=Realm.parse("live"), earlier=lambda _: (), shape_of=lambda _: None)
