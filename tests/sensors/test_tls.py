"""Lines over TLS, to a real TLS server with certificates made here: one that asks for ours, and what goes wrong."""

from __future__ import annotations

import datetime
import ipaddress
import queue
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from command.domain.clock import SystemClock
from command.domain.observation import ObservationBatch
from sensors.ais.source import AisConfig
from sensors.cot.source import CotConfig, CotSource
from sensors.source import SourceContext, Tally
from sensors.tls import client_context

DAY = datetime.timedelta(days=1)


@dataclass(kw_only=True)
class Authority:
    """Makes certificates, as PEM files in a folder."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    @property
    def file(self) -> Path:
        path = self.folder / f"{self.name}.pem"
        if not path.exists():
            path.write_bytes(self._signed(self.subject, self.key.public_key(), ca=True).public_bytes(_PEM))
        return path

    def certificate(
        self, name: str, *, address: str = "127.0.0.1", days: int = 2, password: str = ""
    ) -> tuple[Path, Path]:
        """(certificate, key) for a host that is reached at `address`; days: until it expires, negative for expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        chain.write_bytes(self._signed(subject, key.public_key(), address=address, days=days).public_bytes(_PEM))
        lock = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        key_file.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, lock))
        return chain, key_file

    def _signed(
        self, subject: x509.Name, key: Any, *, ca: bool = False, address: str | None = None, days: int = 2
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if ca:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            )  # fmt: skip
            made = made.add_extension(usage, critical=True)
        if address is not None:
            names = [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName("tak.example")]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())


_PEM = serialization.Encoding.PEM


class Server:
    """A TLS server that gives each client what is in `to_send`, and ends the connection after it."""

    def __init__(self, chain: Path, key: Path, *, clients_from: Path | None = None) -> None:
        self.to_send: queue.Queue[bytes] = queue.Queue()
        self.clients: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain, key)
        if clients_from is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(clients_from)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.to_send.put(b"")
        self._thread.join(20.0)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with plain, suppress(OSError):
                plain.settimeout(20.0)
                with self._context.wrap_socket(plain, server_side=True) as peer:
                    named = dict(part[0] for part in (peer.getpeercert() or {}).get("subject", ()))
                    self.clients.append(named.get("commonName", ""))
                    if data := self.to_send.get(timeout=20.0):
                        peer.sendall(data)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(folder=tmp_path, name="authority")


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[..., Server]]:
    """Starts servers, with a certificate of the authority's unless another is given."""
    started: list[Server] = []

    def start(certificate: tuple[Path, Path] | None = None, **options: Any) -> Server:
        started.append(Server(*(certificate or authority.certificate("server")), **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@contextmanager
def running(tally: Tally, port: int, **config: Any) -> Iterator[list[ObservationBatch]]:
    """The source `cot` in a thread of its own, until the end of the block."""
    source = CotSource(CotConfig.model_validate({"name": "tak", "endpoint": f"tls://127.0.0.1:{port}", **config}))
    stop, batches = threading.Event(), list[ObservationBatch]()
    ctx = SourceContext(clock=SystemClock(), stop=stop, emit=batches.append, tally=tally)
    thread = threading.Thread(target=source.run, args=(ctx,))
    thread.start()
    try:
        yield batches
    finally:
        stop.set()
        thread.join(20.0)
        assert not thread.is_alive(), "a source must end soon after stop"


def event(uid: str) -> bytes:
    """As a TAK server passes it on."""
    return (
        f'<event version="2.0" uid="{uid}" type="a-f-S" time="2026-11-22T00:00:00Z" start="2026-11-22T00:00:00Z" '
        f'stale="2036-11-22T00:05:00Z" how="m-g"><point lat="34.2" lon="129.3" hae="0" ce="10" le="10"/><detail>'
        f'<contact callsign="{uid}"/></detail></event>'
    ).encode()


def test_a_tak_server_that_knows_us_is_read_and_read_again_when_it_comes_back(
    authority: Authority, serve: Callable[..., Server], tally: Tally, eventually: Callable[..., None]
) -> None:
    # given a server that lets nobody in without a certificate of its authority
    server = serve(clients_from=authority.file)
    chain, key = authority.certificate("customs")
    # when it sends more at once than one TLS record, or one reading, holds, and ends the connection
    server.to_send.put(b"".join(event(f"TEAM-{n}") for n in range(500)))
    with running(tally, server.port, tls_ca=authority.file, tls_certificate=chain, tls_key=key) as batches:
        eventually(lambda: tally.decoded == 500)
        # then we come again by ourselves, and read on
        server.to_send.put(event("LATER"))
        eventually(lambda: tally.decoded == 501)
        assert server.clients[:2] == ["customs", "customs"]
    assert sum(len(batch.rows) for batch in batches) == 501
    assert tally.health().rejected == {}


def test_a_key_behind_a_password_and_a_server_known_by_another_name(
    authority: Authority, serve: Callable[..., Server], tally: Tally, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    server = serve(authority.certificate("elsewhere", address="192.0.2.7"), clients_from=authority.file)
    chain, key = authority.certificate("customs", password="atakatak")  # noqa: S106 - of a key that lives as long as the test
    (tmp_path / "password").write_text("atakatak\n")
    server.to_send.put(event("TEAM-1"))
    known = {"tls_ca": authority.file, "tls_name": "tak.example"}
    ours = {"tls_certificate": chain, "tls_key": key, "tls_key_password_file": tmp_path / "password"}
    with running(tally, server.port, **known, **ours):
        eventually(lambda: tally.decoded == 1)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("expired", r"out of date \(certificate has expired\); renew it there"),
        ("other_name", r"for another name \(.*127\.0\.0\.1.*\); set tls_name"),
        ("not_trusted", r"not from tls_ca .*stranger\.pem \(.*\); set tls_ca to the authority"),
        ("nobody_trusted", r"not from this machine's authorities \(.*\); set tls_ca to the authority"),
        ("without_ours", r"wants another certificate of us \(.*we have none\); set tls_certificate and tls_key"),
        ("not_theirs", r"wants another certificate of us \(.*ours is .*customs\.crt\); set tls_certificate"),
        ("plain", r"no TLS came about \(.*\); is this the server's TLS port\?"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_with_what_to_do(
    authority: Authority,
    serve: Callable[..., Server],
    tally: Tally,
    tmp_path: Path,
    eventually: Callable[..., None],
    case: str,
    said: str,
) -> None:
    stranger = Authority(folder=tmp_path, name="stranger")
    config: dict[str, Any] = {"tls_ca": authority.file}
    match case:
        case "expired":
            port = serve(authority.certificate("old", days=-1)).port
        case "other_name":
            port = serve(authority.certificate("elsewhere", address="192.0.2.7")).port
        case "not_trusted":
            port, config = serve().port, {"tls_ca": stranger.file}
        case "nobody_trusted":
            port, config = serve().port, {}
        case "without_ours":
            port = serve(clients_from=authority.file).port
        case "not_theirs":
            chain, key = stranger.certificate("customs")
            port = serve(clients_from=authority.file).port
            config |= {"tls_certificate": chain, "tls_key": key}
        case _:
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]

            def greet() -> None:
                with suppress(OSError):
                    while True:
                        peer, _ = listener.accept()
                        with peer:
                            peer.sendall(b"220 this is not TLS\r\n" * 20)

            threading.Thread(target=greet, daemon=True).start()

    with running(tally, port, **config):
        # then the source goes on trying, and its health says it
        eventually(lambda: tally.state == "retrying" and re.search(said, tally.detail), within_s=30.0)
        assert tally.detail.startswith(f"tls://127.0.0.1:{port}: ")
    assert tally.decoded == 0
    if case == "plain":
        listener.close()


def test_settings_that_cannot_be_are_refused_and_files_that_cannot_be_used_are_named(
    authority: Authority, tmp_path: Path
) -> None:
    chain, key = authority.certificate("customs")

    def config(**given: Any) -> CotConfig:
        return CotConfig.model_validate({"name": "tak", "endpoint": "tls://tak.example:8089", **given})

    for given, said in (
        ({"tls_certificate": chain}, "give both"),
        ({"tls_key_password_file": key}, "tls_key that it opens"),
        ({"tls_ca": chain, "endpoint": "tcp://tak.example:8088"}, "only for an endpoint tls://"),
        ({"endpoint": "tls://tak.example"}, "a host and a port"),
    ):
        with pytest.raises(ValidationError, match=said):
            config(**given)
    with pytest.raises(ValidationError, match="this kind of source has no tls://"):
        AisConfig.model_validate({"name": "ais", "endpoint": "tls://host:1"})
    # and files are named that are not there, are no PEM, do not belong together or are locked
    locked = authority.certificate("locked", password="x")  # noqa: S106
    (tmp_path / "text").write_text("hello")
    for given, said in (
        ({"tls_ca": tmp_path / "gone.pem"}, r"tls_ca .*gone\.pem cannot be used \(No such file"),
        ({"tls_ca": tmp_path / "text"}, r"tls_ca .*text cannot be used"),
        ({"tls_certificate": chain, "tls_key": locked[1]}, r"customs\.crt with tls_key .*locked\.key cannot be used"),
        ({"tls_certificate": locked[0], "tls_key": locked[1]}, "tls_key_password_file where the key has a password"),
        ({"tls_certificate": tmp_path / "text", "tls_key": key}, "cannot be used"),
    ):
        with pytest.raises(ConnectionError, match=said):
            client_context(config(**given))
