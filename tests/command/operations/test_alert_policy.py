"""The policy file while somebody edits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.policy import BadPolicy, default_policy
from command.operations.alert_policy import LOOK_EVERY_S, InForce, PolicyFile, read_policy

GOOD = '[route]\ngroup_wait = "7s"\n'


class Reader:
    """A policy file and a clock that the test moves."""

    def __init__(self, path: Path, *, stored: str | None = None) -> None:
        self.now_s, self._stored = 0.0, stored
        self._file = PolicyFile(path, channels=["amqp"], monotonic_s=lambda: self.now_s)

    def look(self) -> InForce:
        self.now_s += LOOK_EVERY_S
        return self._file.in_force(stored=lambda: self._stored)


def wait_s(found: InForce) -> float:
    return found.policy.root.group_wait_us / 1e6


def test_a_change_counts_once_the_file_has_been_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(GOOD, "utf-8")
    reader = Reader(file)
    assert wait_s(reader.look()) == 7
    # when an editor writes half, and then the whole
    file.write_text("[route]\n", "utf-8")
    assert wait_s(reader.look()) == 7
    file.write_text(GOOD.replace("7s", "9s") + "# whole", "utf-8")
    assert wait_s(reader.look()) == 7
    assert wait_s(reader.look()) == 9


def test_a_broken_file_changes_nothing_and_is_told_until_it_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(GOOD, "utf-8")
    reader = Reader(file)
    reader.look()
    file.write_text('[route]\ngroup_wait = "soonish"\n', "utf-8")
    reader.look()
    found = reader.look()
    assert wait_s(found) == 7
    assert found.trouble is not None
    assert "route.group_wait" in found.trouble
    assert "last good policy" in found.trouble
    file.write_text(GOOD, "utf-8")
    reader.look()
    assert reader.look().trouble is None


def test_after_a_start_with_a_broken_file_the_policy_that_was_in_force_goes_on(tmp_path: Path) -> None:
    found = Reader(tmp_path / "not-there.toml", stored=GOOD).look()
    assert (wait_s(found), "cannot be read" in str(found.trouble)) == (7, True)
    assert Reader(tmp_path / "not-there.toml").look().policy is default_policy()
    assert Reader(tmp_path / "not-there.toml", stored="of an earlier release").look().policy is default_policy()


def test_a_channel_that_is_not_set_up_is_told(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text('[route]\nchannels = ["amqp", "cap-jcg"]\n', "utf-8")
    assert "no channel 'cap-jcg' is set up; choose from amqp" in str(Reader(file).look().trouble)


def test_what_cannot_be_read_is_told_with_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path, tmp_path / "a.toml"):
        with pytest.raises(BadPolicy, match=str(path)):
            read_policy(path)
