"""The peer of `alert-latency`: UDP in, pyais, a confirmed publish to a quorum queue. No store, no tracks, no rules.

    python peer_pipeline.py UDP_PORT AMQP_URL QUEUE

AMQP_URL with its vhost. It says `ready` once it listens, and ends on SIGTERM with what it received and had confirmed.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
from typing import Any

import pika
import pyais
from pyais.exceptions import AISBaseException


class Pipeline:
    """Everything in pika's own thread: the socket is one more descriptor of its loop."""

    def __init__(self, port: int, amqp_url: str, queue: str) -> None:
        self._queue = queue
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._channel: Any = None
        self.received = self.undecodable = 0
        self.confirmed = 0
        self._connection = pika.SelectConnection(pika.URLParameters(amqp_url), on_open_callback=self._opened)

    def run(self) -> None:
        loop = self._connection.ioloop
        signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_threadsafe(loop.stop))
        loop.start()
        self._socket.close()

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._declare)

    def _declare(self, channel: Any) -> None:
        self._channel = channel
        channel.queue_declare(
            self._queue, durable=True, arguments={"x-queue-type": "quorum"}, callback=lambda _: self._confirm(channel)
        )

    def _confirm(self, channel: Any) -> None:
        channel.confirm_delivery(self._answered, callback=lambda _: self._listen())

    def _listen(self) -> None:
        loop = self._connection.ioloop
        loop.add_handler(self._socket.fileno(), self._take, loop.READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    def _answered(self, frame: Any) -> None:
        if isinstance(frame.method, pika.spec.Basic.Ack):
            tag = int(frame.method.delivery_tag)
            self.confirmed = tag if frame.method.multiple else max(self.confirmed, tag)

    def _take(self, _descriptor: int, _events: int) -> None:
        while True:
            try:
                line = self._socket.recv(1_024)
            except BlockingIOError:
                return
            self.received += 1
            try:
                body = pyais.decode(line).to_json()
            except AISBaseException:
                self.undecodable += 1
                continue
            self._channel.basic_publish(
                "",
                self._queue,
                body.encode(),
                pika.BasicProperties(delivery_mode=2, message_id=line.decode().strip()),
            )


def main() -> None:
    pipeline = Pipeline(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    pipeline.run()
    told = {"received": pipeline.received, "undecodable": pipeline.undecodable, "confirmed": pipeline.confirmed}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
