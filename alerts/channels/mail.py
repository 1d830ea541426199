"""The channel type `email`: one message a revision, whose subject and first lines say what a person has to know.

Sources: RFC 5322 (message), RFC 3207 (STARTTLS), RFC 8314 (implicit TLS), RFC 3834 (Auto-Submitted). The Message-ID is
the delivery's id, so a message that is sent again is the same; those about one alert hang together by References.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from time import time_ns
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from alerts.channel import ChannelConfig, ChannelTools, NeverAgain, NotNow, Parcel, plan_alert
from alerts.explain import rule_name
from alerts.outside import LOOPBACK, ended_after, trusting, why
from alerts.pipeline import Notice, PlannedDelivery
from alerts.words import event_word, headline, moment_of, position_words
from command.domain.alert import Severity
from command.domain.clock import from_us
from command.i18n import text

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_URGENT: Final = frozenset({Severity.CRITICAL.word, Severity.HIGH.word})
_MAX_SUBJECT: Final = 150
_POLICY: Final = SMTP.clone(cte_type="7bit")
"""Every server takes it: one without 8BITMIME too."""


class MailConfig(ChannelConfig):
    """A mail server that takes messages from us, and the people who get them."""

    type: str = "email"
    host: str = Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")
    port: int = Field(default=587, ge=1, le=65_535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` is for a server on this machine only."""
    username: str | None = Field(default=None, min_length=1, max_length=320)
    """Where the server asks who we are; its password is the channel's secret."""
    sender: str
    recipients: tuple[str, ...] = Field(min_length=1, max_length=100)
    language: Literal["ja", "en"] = "ja"
    console_url: str | None = Field(default=None, pattern=r"^https?://[^\s/?#]+$", max_length=300)
    """How the recipients reach the console; the message then names the alert's page."""

    @field_validator("sender")
    @classmethod
    def _an_address(cls, address: str) -> str:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(f"{address!r} is no mail address; write name@host")
        return address

    @field_validator("recipients")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cls._an_address(address) for address in addresses)

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.security == "none" and self.host not in LOOPBACK:
            raise ValueError('security "none" is for a server on this machine only; write starttls or tls')
        if self.security == "none" and self.username is not None:
            raise ValueError('security "none" would send the password for all to read; write starttls or tls')
        return self

    @property
    def destinations(self) -> frozenset[str]:
        return frozenset(f"mailto:{address.lower()}" for address in self.recipients)


class MailChannel:
    """Sends over a connection of its own each time: alerts are rare, and mail servers close idle ones."""

    Config: ClassVar[type[ChannelConfig]] = MailConfig
    digests: ClassVar[bool] = True

    def __init__(self, config: MailConfig, *, secret: str | None, tools: ChannelTools) -> None:
        if config.username is not None and secret is None:
            raise ValueError("it has a username and no password: give it secret_file, a file (0600) with the password")
        self.name = config.name
        self._config, self._password = config, secret

    def plan(self, notice: Notice) -> PlannedDelivery:
        return plan_alert(notice, channel=self.name)

    def send(self, parcel: Parcel) -> str | None:
        config = self._config
        try:
            message = mail_of(parcel, config, sent_at_us=time_ns() // 1_000)
        except (LookupError, ValueError, TypeError) as exc:
            raise NeverAgain(f"no message can be made of it: {type(exc).__name__}: {exc}") from exc
        try:
            with _Smtp(config) as smtp:
                if config.username is not None:
                    smtp.login(config.username, self._password or "")
                refused = smtp.send_message(message, from_addr=config.sender, to_addrs=list(config.recipients))
        except smtplib.SMTPRecipientsRefused as exc:
            _judge(exc.recipients)
            raise NotNow(_told(exc.recipients)) from exc
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as exc:
            told = _words(exc.smtp_code, exc.smtp_error)
            raise (NeverAgain(told) if exc.smtp_code >= 500 else NotNow(told)) from exc
        except smtplib.SMTPAuthenticationError as exc:
            raise NotNow(f"user {config.username!r} or its password is refused; correct them in the settings") from exc
        except smtplib.SMTPResponseException as exc:
            raise NotNow(_words(exc.smtp_code, exc.smtp_error)) from exc
        except (OSError, smtplib.SMTPException) as exc:
            raise NotNow(f"{config.host}: {why(exc)}") from exc
        return _told(refused) if refused else None


def _judge(refused: Mapping[str, tuple[int, bytes]]) -> None:
    """Raises NeverAgain where every recipient was refused for good."""
    if all(code >= 500 for code, _ in refused.values()):
        raise NeverAgain(_told(refused))


def _told(refused: Mapping[str, tuple[int, bytes]]) -> str:
    listed = "; ".join(f"{address}: {_words(code, said)}" for address, (code, said) in sorted(refused.items()))
    return f"not taken for {listed}"[:500]


def _words(code: int, said: bytes | str) -> str:
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"SMTP {code} {' '.join(words.split())[:200]}"


class _Smtp(smtplib.SMTP):
    """An SMTP session that ends `timeout_s` after it began, encrypted as configured before anything is said."""

    def __init__(self, config: MailConfig) -> None:
        self._wanted, self._ends = config, ExitStack()
        self._context = None if config.security == "none" else trusting(config.ca_certificate)
        try:
            super().__init__(config.host, config.port, timeout=config.timeout_s)
            if config.security == "starttls":
                self.starttls(context=self._context)
        except BaseException:
            self._end()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        self._ends.enter_context(ended_after(plain, self._wanted.timeout_s))
        if self._wanted.security != "tls" or self._context is None:
            return plain
        try:
            return self._context.wrap_socket(plain, server_hostname=host)
        except (OSError, ssl.SSLError):
            plain.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, raised, trace)
        finally:
            self._end()

    def _end(self) -> None:
        self._ends.close()
        self.close()


def mail_of(parcel: Parcel, config: MailConfig, *, sent_at_us: int) -> EmailMessage:
    """The message of one revision of an alert."""
    body, language = parcel.body, config.language
    domain = config.sender.rpartition("@")[2]
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(text(language, "console.name"), addr_spec=config.sender)
    message["To"] = ", ".join(config.recipients)
    message["Subject"] = headline(body, language, limit=_MAX_SUBJECT)
    message["Date"] = format_datetime(from_us(sent_at_us))
    message["Message-ID"] = f"<{parcel.delivery_id}@{domain}>"
    thread = f"group.{body['grouped']['group']}" if "grouped" in body else f"alert.{parcel.alert_id}"
    message["References"] = f"<{thread}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = language
    if body["severity"] in _URGENT:
        message["Importance"] = "high"
        message["X-Priority"] = "1"
    message.set_content(_lines(body, language, config.console_url), charset="utf-8")
    return message


def _members(body: Mapping[str, Any], language: str) -> list[str]:
    """The alerts that the message tells of, where it is more than one."""
    grouped = body.get("grouped")
    if grouped is None or len(grouped["members"]) + grouped["more"] < 2:
        return []
    listed = [
        text(
            language,
            "mail.member",
            severity=text(language, f"severity.{member['severity']}"),
            event=event_word(member, language),
            rule=rule_name(member["rule"], language),
            subject=" ".join(member["subject_label"][language].split()),
            at=moment_of(member["observed_at"], language),
        )
        for member in grouped["members"]
    ]
    more = [text(language, "mail.more_members", n=grouped["more"])] if grouped["more"] else []
    told = text(language, "mail.members", n=len(listed) + grouped["more"], open=grouped["open"])
    return [told, *listed, *more, ""]


def _lines(body: Mapping[str, Any], language: str, console_url: str | None) -> str:
    def t(key: str, **params: object) -> str:
        return text(language, f"mail.{key}", **params)

    facts = {
        "severity": text(language, f"severity.{body['severity']}"),
        "rule": rule_name(body["rule"], language),
        "subject_of": body["subject_label"][language],
        "where": position_words(body, language),
        "observed": moment_of(body["observed_at"], language),
        "opened": moment_of(body["opened_at"], language),
    }
    if body["acknowledged"] is not None:
        at = moment_of(body["acknowledged"]["at"], language)
        facts["acknowledged"] = t("by", who=body["acknowledged"]["by"], at=at)
    called = body.get("called")
    if called is not None:
        who = called["name"] or text(language, "watch.everybody")
        facts["called"] = t("by", who=who, at=moment_of(called["since"], language))
    if body["cleared_at"] is not None:
        facts["cleared"] = moment_of(body["cleared_at"], language)
    parts = [
        *([text(language, "message.exercise"), ""] if body["status"] != "actual" else []),
        " ".join(body["because"][language].split()),
        "",
        *(t("fact", name=t(name), value=value) for name, value in facts.items()),
        "",
        *_members(body, language),
        t(f"do_{body['event']}"),
        *([f"{console_url}/#alert={body['alert_id']}"] if console_url else []),
        "",
        t("foot", alert=body["alert_id"], revision=body["revision"], realm=body["realm"]),
    ]
    return "\n".join(parts) + "\n"
