"""[[channels]] of the settings: what is refused at the start, and that exercises and real alerts stay apart."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from alerts.channel import ChannelTools
from alerts.registry import make_channel
from command.app.channels import channel_setups
from command.domain.realm import Realm
from command.settings import BadSettings

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "webhook.key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def table(key: Path, **changes: Any) -> dict[str, Any]:
    facts = {"name": "prefecture", "type": "webhook", "url": "https://pref.example/a", "secret_file": str(key)}
    return facts | changes


def test_a_channel_is_read_with_its_secret_which_nothing_shows(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (setup,) = channel_setups([table(secret_file)])
    assert setup.secret == KEY
    assert KEY not in repr(setup)
    monkeypatch.setenv("MIZUGIWA_CHANNEL_SECRET_PREFECTURE", "x" * 44)
    assert channel_setups([table(secret_file)])[0].secret == "x" * 44


@pytest.mark.parametrize("name", ["drill-night", "replay-2026"])
def test_an_exercise_never_reaches_a_channel_of_the_live_realm_nor_the_other_way_round(
    secret_file: Path, name: str
) -> None:
    live, exercises = (
        setup for serves in ("live", "exercises") for setup in channel_setups([table(secret_file, serves=serves)])
    )
    of_exercise, of_live = Realm.parse(name), Realm.parse("live")
    assert live.config.serves_realm(of_live)
    assert exercises.config.serves_realm(of_exercise)
    for setup, realm in ((live, of_exercise), (exercises, of_live)):
        assert not setup.config.serves_realm(realm)
        with pytest.raises(ValueError, match="has nothing to do with it"):
            make_channel(setup, ChannelTools(realm=realm, earlier=lambda _: (), shape_of=lambda _: None))


def test_a_channel_for_exercises_must_not_go_where_real_alerts_go(secret_file: Path) -> None:
    mail = {"type": "email", "host": "mail.example", "sender": "a@b.example", "recipients": ["chief@b.example"]}
    for tables in (
        [
            table(secret_file),
            table(secret_file, name="drills", serves="exercises", url="https://pref.example:443/a?x=1"),
        ],
        [
            {**mail, "name": "live"},
            {**mail, "name": "drills", "serves": "exercises", "recipients": ["Chief@b.example"]},
        ],
    ):
        with pytest.raises(BadSettings, match="receivers of their own"):
            channel_setups(tables)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": "pigeon"}, "channels.prefecture: type 'pigeon' is not known; choose from"),
        ({"name": "amqp"}, "always there"),
        ({"name": "A B"}, "small letters"),
        ({"serves": "everybody"}, "serves"),
        ({"colour": 1}, "no such setting here"),
        ({"secret_file": None}, "openssl rand"),
        ({"secret_file": "/nowhere"}, "cannot be read"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_a_bad_channel_is_refused_in_one_line(secret_file: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadSettings, match=words) as refused:
        channel_setups([table(secret_file, **changes)])
    assert "\n" not in str(refused.value)


def test_a_secret_that_others_can_read_and_two_channels_of_one_name_are_refused(secret_file: Path) -> None:
    with pytest.raises(BadSettings, match="two channels are called prefecture"):
        channel_setups([table(secret_file), table(secret_file)])
    secret_file.chmod(0o640)
    with pytest.raises(BadSettings, match="chmod 600"):
        channel_setups([table(secret_file)])
