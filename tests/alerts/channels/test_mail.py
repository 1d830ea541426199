"""The channel type email, against a real SMTP server over STARTTLS and TLS."""

from __future__ import annotations

import email
import email.policy
import socket
import ssl
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from pydantic import ValidationError

from alerts.channel import ChannelTools, NeverAgain, NotNow, Parcel
from alerts.channels.mail import MailChannel, MailConfig
from alerts.message import Grouped
from alerts.registry import CHANNELS
from command.domain.alert import Call, Severity

PASSWORD = "of the mail server 4"  # noqa: S105 - of a server that lives as long as a test


class Mailbox:
    """An SMTP server's post: what it took, and what it says to whom."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.encrypted: list[bool] = []
        self.refuses: dict[str, str] = {}
        self.says = "250 OK"

    async def handle_RCPT(self, _server: object, _session: Any, envelope: Envelope, address: str, _: object) -> str:  # noqa: N802 - aiosmtpd's name
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self.says.startswith("2"):
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.taken.append(message)
            self.encrypted.append(session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None)
        return self.says


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def serving(mailbox: Mailbox, server_tls: ssl.SSLContext) -> Callable[..., Any]:
    def authenticate(_server: object, _session: object, _envelope: object, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) == (b"watch", PASSWORD.encode()), handled=False)

    @contextmanager
    def serve(*, security: str = "starttls", offers_tls: bool = True) -> Iterator[int]:
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0, "authenticator": authenticate}
        if security == "tls":
            options |= {"ssl_context": server_tls, "auth_require_tls": False}
        elif offers_tls:
            options |= {"tls_context": server_tls, "require_starttls": True}
        controller = _Ephemeral(mailbox, **options)
        controller.start()
        try:
            yield controller.found_port
        finally:
            controller.stop()

    return serve


class _Ephemeral(Controller):
    """On a port that the system chooses."""

    def _trigger_server(self) -> None:
        """The controller's own greeting does not know the port, nor believe our certificate."""
        socket.create_connection(("127.0.0.1", self.found_port)).close()

    @property
    def found_port(self) -> int:
        assert self.server is not None
        found: int = self.server.sockets[0].getsockname()[1]
        return found


def config(port: int, certificate: tuple[Path, Path], **changes: Any) -> MailConfig:
    facts: dict[str, Any] = {
        "name": "mail",
        "host": "127.0.0.1",
        "port": port,
        "ca_certificate": certificate[0],
        "username": "watch",
        "sender": "watch@customs.example",
        "recipients": ("chief@customs.example", "deputy@customs.example"),
        "console_url": "https://console.example",
        "timeout_s": 5.0,
    }
    return MailConfig(**(facts | changes))


def test_it_is_registered() -> None:
    assert CHANNELS["email"] == f"{MailChannel.__module__}:{MailChannel.__name__}"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_critical_alert_arrives_encrypted_and_says_what_to_know_at_three_in_the_morning(
    serving: Any,
    mailbox: Mailbox,
    certificate: tuple[Path, Path],
    tools: ChannelTools,
    parcel: Callable[..., Parcel],
    security: str,
) -> None:
    sent = parcel("mail")
    with serving(security=security) as port:
        channel = MailChannel(config(port, certificate, security=security), secret=PASSWORD, tools=tools)
        # when it is sent, and once more because dispatch was killed before it could mark that
        assert channel.send(sent) is None
        channel.send(sent)
    # then
    message, again = mailbox.taken
    assert mailbox.encrypted == [True, True]
    assert message["Subject"] == "【緊急】監視区域への進入 発生:第八海進丸 厳原湾"
    assert message["To"] == "chief@customs.example, deputy@customs.example"
    assert (message["Importance"], message["Auto-Submitted"]) == ("high", "auto-generated")
    assert message["Message-ID"] == again["Message-ID"] == f"<{sent.delivery_id}@customs.example>"
    assert message["References"] == f"<alert.{sent.alert_id}@customs.example>"
    text = message.get_content()
    assert text.splitlines()[0] == "第八海進丸 が監視区域「厳原湾」に進入 (2026-11-22 08:41 JST (23:41Z))"
    assert "場所:厳原湾 34°12′05.0″N 129°17′22.2″E" in text
    assert f"https://console.example/#alert={sent.alert_id}" in text
    assert "これは訓練です" not in text


def test_a_call_says_who_is_called_and_what_to_do(
    serving: Any, mailbox: Mailbox, certificate: tuple[Path, Path], tools: ChannelTools, parcel: Callable[..., Parcel]
) -> None:
    at_us = 1_795_304_465_000_000
    call = Call(login="mori", name="森 由美", team=None, step=1, at_us=at_us, passed=("mori",), teams=())
    with serving() as port:
        channel = MailChannel(config(port, certificate), secret=PASSWORD, tools=tools)
        channel.send(parcel("mail", revision=2, recorded_at_us=at_us, call=call))
    (message,) = mailbox.taken
    assert "呼び出し" in message["Subject"]
    text = message.get_content()
    assert "呼び出し:森 由美、2026-11-22 08:41 JST (23:41Z)" in text
    assert "時間内に確認がない" in text


def test_an_exercise_says_so_first_and_english_is_whole(
    serving: Any, mailbox: Mailbox, certificate: tuple[Path, Path], tools: ChannelTools, parcel: Callable[..., Parcel]
) -> None:
    changes = {
        "realm": "drill-night",
        "severity": Severity.LOW,
        "cleared_at_us": 1_795_304_500_000_000,
        "position": None,
    }
    with serving() as port:
        MailChannel(config(port, certificate, language="en"), secret=PASSWORD, tools=tools).send(
            parcel("mail", revision=2, area=None, **changes)
        )
    (message,) = mailbox.taken
    assert message["Subject"].startswith("[EXERCISE] [Low] ")
    assert message["Importance"] is None
    text = message.get_content()
    assert text.startswith("This is an exercise.")
    assert "Where: position unknown" in text
    assert "over" in text


def test_several_alerts_of_one_group_are_one_message_that_names_them(
    serving: Any,
    mailbox: Mailbox,
    certificate: tuple[Path, Path],
    tools: ChannelTools,
    parcel: Callable[..., Parcel],
    alert: Callable[..., Any],
) -> None:
    members = [alert(), alert(alert_id=uuid.uuid4(), because_params={}, subject_label="第二\n漁丸")]
    grouped = Grouped(
        group_id=uuid.UUID(int=7),
        labels={"rule": "geofence_entry"},
        message=1,
        repeat=False,
        members=members,
        more=3,
        open_alerts=5,
        cleared=0,
    )
    with serving() as port:
        MailChannel(config(port, certificate), secret=PASSWORD, tools=tools).send(parcel("mail", grouped=grouped))
    (message,) = mailbox.taken
    assert message["References"] == f"<group.{uuid.UUID(int=7)}@customs.example>"
    lines = message.get_content().splitlines()
    assert "ほか4件" in lines[0]
    listed = lines[lines.index("このメールで知らせる警報 5件 (継続中 5件):") + 1 :]
    assert listed[0].startswith("・【緊急】監視区域への進入 発生:第八海進丸 2026-11-22 08:41 JST")
    assert "第二 漁丸" in listed[1]
    assert listed[2] == "・ほか3件"


def test_a_label_with_line_breaks_forges_no_header(
    serving: Any, mailbox: Mailbox, certificate: tuple[Path, Path], tools: ChannelTools, parcel: Callable[..., Parcel]
) -> None:
    label = "A\r\nBcc: everybody@example.com\r\n\r\nB"
    with serving() as port:
        MailChannel(config(port, certificate), secret=PASSWORD, tools=tools).send(
            parcel("mail", because_params={}, subject_label=label)
        )
    (message,) = mailbox.taken
    assert message["Bcc"] is None
    assert "A Bcc: everybody@example.com B" in message["Subject"]


def test_a_server_without_starttls_gets_neither_password_nor_alert(
    serving: Any, mailbox: Mailbox, certificate: tuple[Path, Path], tools: ChannelTools, parcel: Callable[..., Parcel]
) -> None:
    with serving(offers_tls=False) as port, pytest.raises(NotNow, match="STARTTLS"):
        MailChannel(config(port, certificate), secret=PASSWORD, tools=tools).send(parcel("mail"))
    assert mailbox.taken == []


def test_what_the_server_refuses_for_good_is_dead_and_what_it_puts_off_is_tried_again(
    serving: Any, mailbox: Mailbox, certificate: tuple[Path, Path], tools: ChannelTools, parcel: Callable[..., Parcel]
) -> None:
    with serving() as port:
        channel = MailChannel(config(port, certificate), secret=PASSWORD, tools=tools)
        mailbox.says = "554 no such content here"
        with pytest.raises(NeverAgain, match="SMTP 554 no such content"):
            channel.send(parcel("mail"))
        mailbox.says = "451 try later"
        with pytest.raises(NotNow, match="SMTP 451"):
            channel.send(parcel("mail"))
        mailbox.says = "250 OK"
        # one recipient of two is not known: it has gone out, and somebody should know
        mailbox.refuses = {"deputy@customs.example": "550 no such user"}
        assert channel.send(parcel("mail")) == "not taken for deputy@customs.example: SMTP 550 no such user"
        mailbox.refuses |= {"chief@customs.example": "450 busy"}
        with pytest.raises(NotNow, match="chief"):
            channel.send(parcel("mail"))
        mailbox.refuses |= {"chief@customs.example": "550 gone"}
        with pytest.raises(NeverAgain, match="550 gone"):
            channel.send(parcel("mail"))
        wrong = MailChannel(config(port, certificate), secret="of another server", tools=tools)  # noqa: S106 - a wrong one
        with pytest.raises(NotNow, match="password is refused") as refused:
            wrong.send(parcel("mail"))
    assert "of another" not in str(refused.value)
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"security": "none", "host": "mail.example", "username": None}, "this machine only"),
        ({"security": "none", "username": "watch"}, "send the password"),
        ({"recipients": ("nobody",)}, "no mail address"),
        ({"recipients": ()}, "recipients"),
        ({"sender": "a@b\nBcc: c@d"}, "no mail address"),
        ({"ca_certificate": "/nowhere.pem"}, "is not a file"),
    ],
)
def test_settings_that_would_give_something_away_are_refused(
    certificate: tuple[Path, Path], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        config(25, certificate, **changes)
