"""TLS to a real broker with certificates made as docs/broker-tls.md says: what is trusted, and what is not."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from command.bus import (
    AlertPublisher,
    BrokerUnavailable,
    Consumer,
    Team,
    alert_topology,
    declare_topology,
    team_queue,
)
from command.bus.broker import connection_parameters
from command.domain.alert import Severity
from command.services.account import server_account
from command.services.ports import free_ports
from command.services.rabbitmq import RabbitMQ

TOPOLOGY = alert_topology([Team(name="duty")])


def make_authority(folder: Path, repository: Path) -> Path:
    """ca.pem, and mq.pem and mq.key for the host `localhost`, by the commands of the manual."""
    folder.mkdir()
    manual = (repository / "docs" / "broker-tls.md").read_text("utf-8")
    block = re.search(r"```\n(openssl req -x509.*?)```", manual, re.DOTALL)
    assert block is not None
    commands = block[1].replace("mq.example.go.jp", "localhost")
    subprocess.run(["sh", "-euc", commands], cwd=folder, check=True, capture_output=True)
    return folder


class WithTls(RabbitMQ):
    """The private broker with a port for TLS besides; a client may show a certificate, then one of its authority."""

    certificates: Path
    tls_port: int

    def _write_configuration(self, facts: dict[str, Any]) -> dict[str, str]:
        env = super()._write_configuration(facts)
        for name in ("ca.pem", "mq.pem", "mq.key"):
            self.account.write(self.home / name, (self.certificates / name).read_text())
        conf = self.home / "rabbitmq.conf"
        lines = [
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
            f"ssl_options.cacertfile = {self.home}/ca.pem",
            f"ssl_options.certfile = {self.home}/mq.pem",
            f"ssl_options.keyfile = {self.home}/mq.key",
            "ssl_options.versions.1 = tlsv1.3",
            "ssl_options.versions.2 = tlsv1.2",
            "ssl_options.verify = verify_peer",
        ]
        self.account.write(conf, conf.read_text() + "\n".join(lines) + "\n")
        return env


@dataclass(frozen=True)
class Tls:
    """A broker that speaks TLS, its authority's folder, and another's."""

    port: int
    user: str
    ours: Path
    theirs: Path

    def url(self, *, ca: Path | None, host: str = "localhost", more: str = "") -> str:
        query = "" if ca is None else f"?cacertfile={quote(str(ca / 'ca.pem'))}{more}"
        return f"amqps://{self.user}@{host}:{self.port}{query}"


@pytest.fixture(scope="module")
def tls(server_dir: Callable[[str], Path], repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    folder = tmp_path_factory.mktemp("certificates")
    ours, theirs = make_authority(folder / "ours", repository), make_authority(folder / "theirs", repository)
    broker = WithTls(server_dir("tls") / "mq", server_account())
    broker.certificates, (broker.tls_port,) = ours, free_ports(1)
    broker.start()
    parts = urlsplit(broker.amqp_url)
    yield Tls(port=broker.tls_port, user=f"{parts.username}:{parts.password}", ours=ours, theirs=theirs)
    broker.stop()


@pytest.mark.soak
def test_alerts_go_over_tls_and_nothing_goes_to_a_broker_that_is_not_who_it_should_be(tls: Tls) -> None:
    # given the authority's certificate, alerts flow
    url = tls.url(ca=tls.ours)
    with (
        AlertPublisher(url, "/", topology=TOPOLOGY, wake=threading.Event()) as publisher,
        Consumer(url, "/", [team_queue("duty", Severity.HIGH)], prefetch=1, name="test", topology=TOPOLOGY) as consumer,
    ):
        assert publisher.wait_connected(20)
        assert publisher.publish(b"{}", routing_key="alert.high.none.x", message_id="a")
        message = consumer.get(20)
        assert message is not None
        message.ack()
    # and with our own certificate shown as well
    shown = f"&certfile={quote(str(tls.ours / 'mq.pem'))}&keyfile={quote(str(tls.ours / 'mq.key'))}"
    declare_topology(tls.url(ca=tls.ours, more=shown), "/", TOPOLOGY)
    # and a stranger's is refused by the broker
    strange = f"&certfile={quote(str(tls.theirs / 'mq.pem'))}&keyfile={quote(str(tls.theirs / 'mq.key'))}"
    with pytest.raises(BrokerUnavailable):
        declare_topology(tls.url(ca=tls.ours, more=strange), "/", TOPOLOGY)
    # and what another authority signed, or nobody that this machine knows, or for another host, is not trusted
    for bad in (tls.url(ca=tls.theirs), tls.url(ca=None), tls.url(ca=tls.ours, host="127.0.0.1")):
        with pytest.raises(BrokerUnavailable, match="its certificate is not trusted") as told:
            declare_topology(bad, "/", TOPOLOGY)
        assert tls.user.partition(":")[2] not in str(told.value)
    # and who speaks plainly to it hears nothing
    with pytest.raises(BrokerUnavailable):
        declare_topology(tls.url(ca=None).replace("amqps", "amqp"), "/", TOPOLOGY)
    with socket.create_connection(("localhost", tls.port), timeout=5) as plain:
        plain.sendall(b"AMQP\x00\x00\x09\x01")
        assert not plain.recv(1).startswith(b"\x01")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqps://u:p@h?cacertfile=/nowhere/ca.pem", "cannot be used .*PEM"),
        ("amqps://u:p@h?certfile=/etc/hostname", "cannot be used .*PEM"),
        ("amqp://u:p@h?cacertfile=/nowhere/ca.pem", "write amqps://"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_told_at_once(url: str, says: str) -> None:
    with pytest.raises(BrokerUnavailable, match=says):
        connection_parameters(url, "live", name="test")
