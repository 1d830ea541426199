"""Settings are read once; a bad one stops the start with one line that says what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from command.domain.alert import Severity
from command.domain.escalation import EscalationRules
from command.settings import BadSettings, load_settings


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MIZUGIWA_CONFIG", "MIZUGIWA_DATA_DIR", "MIZUGIWA_WEB_PORT", "DATABASE_URL", "AMQP_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "mizugiwa.toml"
    path.write_text(content, "utf-8")
    return path


def test_without_a_file_the_console_listens_on_this_machine_only() -> None:
    settings = load_settings()
    assert settings.web.host == "127.0.0.1"
    assert settings.sources == ()
    assert [team.name for team in settings.teams] == ["duty"]


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, 'data_dir = "/srv/a"\n[web]\nport = 9000\n')
    monkeypatch.setenv("MIZUGIWA_DATA_DIR", str(tmp_path / "b"))
    monkeypatch.setenv("MIZUGIWA_WEB_PORT", "9001")
    settings = load_settings()
    assert settings.data_dir == tmp_path / "b"
    assert settings.web.port == 9001


def test_times_to_acknowledge_are_by_severity_and_a_time_of_0_calls_nobody(tmp_path: Path) -> None:
    assert load_settings().escalation.value() == EscalationRules()
    written(tmp_path, '[escalation]\ncritical_minutes = 0.5\nmedium_minutes = 0\nskills = {ais_gap = "radio"}\n')
    rules = load_settings().escalation.value()
    assert rules.within_us == {Severity.CRITICAL: 30_000_000, Severity.HIGH: 600_000_000}
    assert rules.skills == {"ais_gap": "radio"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[web]\nport = 99999\n", "web.port"),
        ('[web]\nhost = "0.0.0.0"\n', "set tls_certificate and tls_key, or write 127.0.0.1"),
        ('[web]\ntls_key = "x.pem"\n', "set both tls_certificate and tls_key"),
        ('[web.online_map]\nurl = "https://t.example/{z}/{x}.png"\nattribution = "x"\n', "write {z}, {x} and {y}"),
        ('[web.online_map]\nurl = "http://t.example/{z}/{x}/{y}"\nattribution = "x"\n', "write https"),
        ('[web.online_map]\nurl = "https://t.example /{z}/{x}/{y}"\nattribution = "x"\n', "url"),
        ('[web.online_map]\nurl = "https://t.example/{z}/{x}/{y};script-src *"\nattribution = "x"\n', "url"),
        ('[web.online_map]\nurl = "https://t.example/{z}/{x}/{y}.png"\n', "attribution"),
        ('language = "fr"\n', "write ja or en"),
        ('colour = "blue"\n', "colour"),
        ('[[teams]]\nname = "t"\nseverities = ["urgent"]\n', "write one of critical, high, medium, low"),
        ('[[sources]]\nkind = "ais"\nname = "a"\n[[sources]]\nkind = "ais"\nname = "a"\n', "give each its own name"),
        ('[[teams]]\nname = "t"\n[[teams]]\nname = "t"\n', "two teams are called t; give each its own name"),
        ("teams = []\n", "nobody would get an alert"),
        ('[[teams]]\nname = "../t"\n', "write small letters, digits and hyphens"),
        ('[[assets]]\nsubject = "431"\nkind = "vessel"\nname_ja = "a"\nname_en = "a"\n', "for example mmsi:431000001"),
        ("sources = 3\n", "write a list"),
        ("[escalation]\ncritical_minutes = 0\n", "write critical_minutes above 0"),
        ("[escalation]\nhigh_minutes = -1\n", "escalation.high_minutes"),
        ('[escalation]\nskills = {ais_gap = "Radio!"}\n', "write small letters, digits and hyphens"),
        ("sources = [3]\n", "write a table, as in [[sources]]"),
        ('web = "x"\n', "write a table, as in [web]"),
        ("colour = 1\n", "no such setting here; docs/settings.md"),
        ('amqp_url = "http://x"\n', "write amqp://user:password@host:port"),
        ('amqp_url = "amqp://x:abc"\n', "amqp_url: "),
        ('database_url = "rubbish"\n', "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("not toml at all", "is not TOML"),
    ],
)
def test_a_bad_setting_is_told_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(BadSettings) as caught:
        load_settings(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_in_a_bad_address_is_not_repeated(tmp_path: Path) -> None:
    for content in (
        "amqp_url = 5\ndatabase_url = ['postgresql://u:hunter2@h/d']\n",
        "amqp_url = 'amqp://u:x/hunter2@h'\n",
        "amqp_url = 'http://u:hunter2@h'\n",
        "database_url = 'nonsense://u:hunter2@h/d'\n",
    ):
        path = written(tmp_path, content)
        with pytest.raises(BadSettings) as caught:
            load_settings(path)
        assert "hunter2" not in str(caught.value)


def test_a_port_of_the_environment_does_not_hide_that_web_is_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIZUGIWA_WEB_PORT", "9001")
    with pytest.raises(BadSettings, match="web: write a table"):
        load_settings(written(tmp_path, 'web = "x"\n'))


def test_a_named_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="is not there"):
        load_settings(tmp_path / "absent.toml")


def test_keys_and_heads_lie_in_the_data_directory_unless_they_are_given_a_place(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f"data_dir = '{tmp_path}/data'\naudit_dir = '{tmp_path}/worm'\n"))
    assert settings.keys_dir == tmp_path / "data" / "keys"
    assert settings.audit_dir == tmp_path / "worm"


def test_a_role_that_there_is_not_cannot_be_required_to_give_codes(tmp_path: Path) -> None:
    good = load_settings(written(tmp_path, '[people]\nsecond_factor_roles = ["admin"]\n'))
    assert [role.value for role in good.people.second_factor_roles] == ["admin"]
    with pytest.raises(BadSettings, match=r"people.second_factor_roles.0.*'officer'.*found 'king'"):
        load_settings(written(tmp_path, '[people]\nsecond_factor_roles = ["king"]\n'))
