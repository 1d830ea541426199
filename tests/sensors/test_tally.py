"""A source's counters, while one thread counts and another reads them."""

from __future__ import annotations

from sensors.source import MAX_IGNORED, Tally


def test_a_message_in_work_is_in_no_snapshot_until_it_was_judged(tally: Tally) -> None:
    tally.take(3, received_at_us=1)
    tally.decode()
    tally.reject("noise", b"x", received_at_us=1)

    between = tally.health()
    tally.duplicate()
    after = tally.health()

    assert (between.messages_in, between.decoded, sum(between.rejected.values())) == (2, 1, 1)
    assert (after.messages_in, after.duplicates) == (3, 1)


def test_words_that_strangers_choose_are_bounded_and_nothing_is_lost_of_the_count(tally: Tally) -> None:
    for number in range(MAX_IGNORED + 10):
        tally.ignore(f"word-{number}")
    tally.ignore("word-0")
    assert len(tally.ignored) <= MAX_IGNORED + 1
    assert (tally.ignored["word-0"], tally.ignored["other"]) == (2, 10)
    assert tally.ignored.total() == MAX_IGNORED + 11
