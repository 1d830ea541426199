"""One connection that comes back by itself, on a real broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from command.bus.link import Link


def test_whoever_learns_that_the_connection_is_gone_finds_the_reason_said(
    line: Any, vhost: str, eventually: Callable[..., None]
) -> None:
    found: list[tuple[bool, str | None]] = []
    link = Link(
        line.url,
        vhost,
        name="test",
        topology=None,
        on_channel=lambda _channel: link.ready(),
        on_lost=lambda: found.append((link.connected, link.trouble)),
    )
    # given a connection
    link.start()
    assert link.wait_connected(10)
    assert link.trouble is None
    # when the line is cut
    line.cut()
    eventually(lambda: len(found) > 1)
    # then at the loss, and at each attempt that failed, there is no connection and its reason is told
    line.mend()
    eventually(lambda: link.connected)
    link.close()
    assert not any(connected for connected, _ in found)
    *before_close, _ = found
    assert all("cannot be reached" in (trouble or "") for _, trouble in before_close)
