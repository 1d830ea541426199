"""A private RabbitMQ broker: own ports on 127.0.0.1, own node name, cookie, password and epmd."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import psutil

from command.services.account import Account
from command.services.errors import ServiceMissing
from command.services.ports import free_ports
from command.services.process import end_family, recall, remember, start_detached, stop

USER: Final = "mizugiwa"
_SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_READY_WITHIN_S: Final = 90.0
_ANSWERS_WITHIN_S: Final = 30.0
"""So long a node that runs already is waited for before it is taken for a stray."""
_PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
"""AMQP 0-9-1, section 4.2.2: what a client sends first; a broker answers with a method frame (type 1)."""


def find_rabbitmq() -> Path:
    """The broker's start script (Debian's, not the wrapper that writes to /var/log). Raises ServiceMissing."""
    if not _SERVER.exists():
        raise ServiceMissing(
            "RabbitMQ is not installed; run `make up` once, or: apt-get install --no-install-recommends rabbitmq-server"
        )
    return _SERVER


def find_epmd() -> Path:
    """Erlang's port mapper. Raises ServiceMissing."""
    for candidate in (Path("/usr/bin/epmd"), *sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))):
        if candidate.exists():
            return candidate
    raise ServiceMissing("epmd is not installed; run: apt-get install --no-install-recommends erlang-base")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def answers_amqp(host: str, port: int) -> bool:
    """Whether a broker speaks AMQP there."""
    try:
        with socket.create_connection((host, port), timeout=2.0) as connection:
            connection.sendall(_PROTOCOL_HEADER)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


class RabbitMQ:
    """The broker in `home`. All calls are idempotent."""

    def __init__(self, home: Path, account: Account) -> None:
        self.home = home
        self.account = account
        self._facts_path = home / "broker.json"

    def _read_facts(self) -> dict[str, Any]:
        """Ports, password, cookie and node name. Raises ServiceMissing where none were ever made."""
        try:
            known: dict[str, Any] = json.loads(self._facts_path.read_text())
        except (OSError, ValueError) as exc:
            raise ServiceMissing(f"no broker was set up in {self.home}; run `mizugiwa up` once") from exc
        return known

    def _facts(self) -> dict[str, Any]:
        """As _read_facts, made where they are missing and given other ports where strangers took ours."""
        try:
            known = self._read_facts()
        except ServiceMissing:
            known = {
                "password": secrets.token_urlsafe(24),
                "cookie": secrets.token_hex(20),
                "node": f"mizugiwa-{secrets.token_hex(4)}@localhost",
            }
        if "amqp" not in known or (self.process() is None and not self._ports_free(known)):
            known["amqp"], known["management"], known["distribution"], known["epmd"] = free_ports(4)
            self.account.write(self._facts_path, json.dumps(known))
        return known

    def _ports_free(self, facts: dict[str, Any]) -> bool:
        ours = [facts["amqp"], facts["management"], facts["distribution"]]
        if recall(self.home / "epmd.json") is None:
            ours.append(facts["epmd"])
        return all(_is_free(port) for port in ours)

    @property
    def amqp_url(self) -> str:
        facts = self._read_facts()
        return f"amqp://{USER}:{facts['password']}@127.0.0.1:{facts['amqp']}"

    @property
    def management_url(self) -> str:
        facts = self._read_facts()
        return f"http://{USER}:{facts['password']}@127.0.0.1:{facts['management']}"

    def process(self) -> psutil.Process | None:
        """The running Erlang node, also where its starter or we were killed."""
        return recall(self.home / "beam.json") or self._find_node()

    def _find_node(self) -> psutil.Process | None:
        """Our node by its command line, which names our folder."""
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or []
            if process.info["name"] == "beam.smp" and ("-home", str(self.home)) in pairwise(words):
                return process
        return None

    def start(self) -> None:
        """Start the broker where it does not run, and wait until it answers AMQP."""
        server, epmd = find_rabbitmq(), find_epmd()
        self.account.own(self.home)
        facts = self._facts()
        env = self._write_configuration(facts)
        if recall(self.home / "epmd.json") is None:
            mapper = start_detached(
                [str(epmd), "-address", "127.0.0.1", "-port", str(facts["epmd"])],
                account=self.account,
                env=env,
                cwd=self.home,
                output=self.home / "epmd.log",
            )
            remember(self.home / "epmd.json", mapper.pid)
        began = time.monotonic()
        deadline = began + _READY_WITHIN_S
        while _is_free(facts["epmd"]) and time.monotonic() < deadline:
            # A node that finds no mapper starts one of its own, which nothing would stop.
            time.sleep(0.02)
        starter = None
        while not answers_amqp("127.0.0.1", facts["amqp"]):
            stray = self.process() if starter is None and time.monotonic() > began + _ANSWERS_WITHIN_S else None
            if stray is not None:
                # A node of ours that answers nowhere we know: its folder was made anew beneath it, or it hangs.
                stop(stray, within_s=20.0)
            if self.process() is None and (starter is None or starter.poll() is not None):
                starter = start_detached(
                    [str(server)], account=self.account, env=env, cwd=self.home, output=self.home / "server.log"
                )
                remember(self.home / "starter.json", starter.pid)
            if time.monotonic() > deadline:
                raise ServiceMissing(f"RabbitMQ did not start; read the end of {self.home / 'server.log'}")
            time.sleep(0.1)
        node = self._find_node()
        if node is not None:
            remember(self.home / "beam.json", node.pid)

    def stop(self) -> None:
        """Stop the node (SIGTERM is Erlang's orderly init:stop), then its epmd, which would outlive it."""
        node = self.process()
        if node is not None:
            stop(node, within_s=40.0)
        starter = recall(self.home / "starter.json")
        if starter is not None:
            # Told to stop while the broker starts: the script has no node yet, or would start it behind our back.
            end_family(starter)
        mapper = recall(self.home / "epmd.json")
        if mapper is not None:
            stop(mapper, within_s=5.0)

    def _write_configuration(self, facts: dict[str, Any]) -> dict[str, str]:
        write = self.account.write
        write(
            self.home / "rabbitmq.conf",
            "\n".join(
                (
                    f"listeners.tcp.1 = 127.0.0.1:{facts['amqp']}",
                    "management.tcp.ip = 127.0.0.1",
                    f"management.tcp.port = {facts['management']}",
                    # Queue depths are asked over AMQP; the collector would cost a tenth of a core.
                    "management_agent.disable_metrics_collector = true",
                    f"default_user = {USER}",
                    f"default_pass = {facts['password']}",
                    "default_vhost = /",
                    "vm_memory_high_watermark.relative = 0.3",
                    "disk_free_limit.absolute = 512MB",
                    "log.file.level = warning",
                    "",
                )
            ),
        )
        write(self.home / "enabled_plugins", "[rabbitmq_management].\n")
        cookie = self.home / ".erlang.cookie"
        if not cookie.exists():
            write(cookie, facts["cookie"])
            cookie.chmod(0o400)
        return {
            "PATH": "/usr/lib/rabbitmq/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "RABBITMQ_NODENAME": facts["node"],
            "RABBITMQ_DIST_PORT": str(facts["distribution"]),
            "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_PID_FILE": str(self.home / "node.pid"),
            "ERL_EPMD_PORT": str(facts["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Idle schedulers must not spin: the machine's two cores have other work. Distribution stays on loopback.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        }


class ManagementRefused(ServiceMissing):
    """The management API answered, and not with what was asked for. `status` is HTTP's."""

    def __init__(self, words: str, *, status: int) -> None:
        super().__init__(words)
        self.status = status


def request_management(management_url: str, method: str, path: str, body: object = None) -> Any:
    """One call of RabbitMQ's HTTP API. Raises ServiceMissing with the broker's own words."""
    parts = urllib.parse.urlsplit(management_url)
    if parts.scheme not in ("http", "https"):
        raise ServiceMissing(f"the management address {parts.scheme}://{parts.hostname} is not http or https")
    login = base64.b64encode(f"{parts.username}:{urllib.parse.unquote(parts.password or '')}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked above
        f"{parts.scheme}://{parts.hostname}:{parts.port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {login}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 - as above
            content = answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            words = f"RabbitMQ refused {method} {path}: {exc.code} {exc.read()[:200]!r}"
            raise ManagementRefused(words, status=exc.code) from exc
    except OSError as exc:
        raise ServiceMissing(f"RabbitMQ's management API at {parts.hostname}:{parts.port} does not answer") from exc
    return json.loads(content) if content else None
