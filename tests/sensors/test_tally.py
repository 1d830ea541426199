"""A source's counters, while one thread counts and another reads them."""

from __future__ import annotations

from sensors.source import Tally


def test_a_message_in_work_is_in_no_snapshot_until_it_was_judged(tally: Tally) -> None:
    tally.take(3, received_at_us=1)
    tally.decode()
    tally.reject("noise", b"x", received_at_us=1)

    between = tally.health()
    tally.duplicate()
    after = tally.health()

    assert (between.messages_in, between.decoded, sum(between.rejected.values())) == (2, 1, 1)
    assert (after.messages_in, after.duplicates) == (3, 1)
