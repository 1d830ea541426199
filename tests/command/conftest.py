"""A realm at the broker, and a line to it that a test can cut, mend and make one-way."""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from command.domain.realm import Realm
from command.services import Endpoints, delete_vhost, ensure_vhost


class Line:
    """A TCP proxy in front of the broker. `url` goes through it."""

    def __init__(self, amqp_url: str) -> None:
        parts = urlsplit(amqp_url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5672)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.url = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{self._server.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._whole = True
        self._stop = threading.Event()
        self._answers = threading.Event()
        self._answers.set()
        self.accepted = 0
        self._start(self._accept)

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        with self._lock:
            self._whole = False
            ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._answers.set()
        self._whole = True

    def hold_answers(self) -> None:
        """From now on nothing of the broker reaches the client; what the client sends still arrives."""
        self._answers.clear()

    def close(self) -> None:
        self._stop.set()
        self.cut()
        self._answers.set()
        for thread in self._threads:
            thread.join(5)
        self._server.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # a bound method
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._server.accept()
            except TimeoutError:
                continue
            with self._lock:  # over the whole of it, so that a cut leaves no line that was just being laid
                if not self._whole:
                    client.close()
                    continue
                self.accepted += 1
                client.settimeout(None)
                broker = socket.create_connection(self._target, timeout=5)
                broker.settimeout(None)
                self._ends += [client, broker]
            self._start(self._pair, client, broker)

    def _pair(self, client: socket.socket, broker: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(broker, client, True), daemon=True)
        back.start()
        self._pump(client, broker, False)
        back.join()
        client.close()
        broker.close()

    def _pump(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_answer:
                    self._answers.wait()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(amqp_url: str) -> Iterator[Line]:
    proxy = Line(amqp_url)
    yield proxy
    proxy.close()


@pytest.fixture
def realm(endpoints: Endpoints) -> Iterator[Realm]:
    """A drill's realm with a fresh vhost, deleted afterwards."""
    realm = Realm.parse(f"drill-{uuid.uuid4().hex[:12]}")
    ensure_vhost(endpoints, realm.vhost)
    yield realm
    delete_vhost(endpoints, realm.vhost)
