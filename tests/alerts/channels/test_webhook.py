"""The channel type webhook, against a real HTTPS server and the published example of its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.channel import ChannelTools, NeverAgain, NotNow, Parcel
from alerts.channels.webhook import WebhookChannel, WebhookConfig, signature, signing_key
from alerts.registry import CHANNELS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the published example


@pytest.fixture
def channel(receiver: Any, certificate: tuple[Path, Path], tools: ChannelTools) -> WebhookChannel:
    config = WebhookConfig(name="prefecture", url=receiver.url, ca_certificate=certificate[0], timeout_s=1.0)
    return WebhookChannel(config, secret=SECRET, tools=tools)


def test_it_is_registered() -> None:
    assert CHANNELS["webhook"] == f"{WebhookChannel.__module__}:{WebhookChannel.__name__}"


def test_the_signature_is_that_of_the_published_example() -> None:
    """The example that the libraries of Standard Webhooks are tested on."""
    signed = signature(signing_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_alert_arrives_as_its_json_signed_and_the_same_each_time(
    channel: WebhookChannel, receiver: Any, parcel: Callable[..., Parcel]
) -> None:
    # when
    sent = parcel("prefecture")
    channel.send(sent)
    channel.send(sent)
    # then
    first, second = receiver.heard
    assert first.path == "/alerts?for=customs"
    assert json.loads(first.body) == sent.body
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(sent.delivery_id)
    signed = f"{first.headers['webhook-id']}.{first.headers['webhook-timestamp']}.".encode() + first.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
def test_what_the_receiver_refuses_for_good_is_never_tried_again(
    channel: WebhookChannel, receiver: Any, answer: Any, parcel: Callable[..., Parcel], status: int
) -> None:
    receiver.answers.append(answer(status, body="位置がない".encode()))
    with pytest.raises(NeverAgain, match=rf"HTTP {status} .*位置がない"):
        channel.send(parcel("prefecture"))


@pytest.mark.parametrize("status", [401, 404, 408, 429, 500, 503])
def test_what_may_go_later_is_tried_again_and_not_before_the_receiver_asks(
    channel: WebhookChannel, receiver: Any, answer: Any, parcel: Callable[..., Parcel], status: int
) -> None:
    receiver.answers.append(answer(status, headers={"Retry-After": "120"}))
    with pytest.raises(NotNow, match=f"HTTP {status}") as later:
        channel.send(parcel("prefecture"))
    assert later.value.retry_after_s == 120.0


def test_a_redirect_is_not_followed(
    channel: WebhookChannel, receiver: Any, answer: Any, parcel: Callable[..., Parcel]
) -> None:
    receiver.answers.append(answer(307, headers={"Location": f"{receiver.url}&elsewhere=1"}))
    with pytest.raises(NotNow, match="redirects are not followed"):
        channel.send(parcel("prefecture"))
    assert len(receiver.heard) == 1


def test_a_receiver_that_trickles_is_left_after_the_time_limit(
    channel: WebhookChannel, receiver: Any, answer: Any, parcel: Callable[..., Parcel]
) -> None:
    receiver.answers.append(answer(trickle=True))
    with pytest.raises(NotNow):
        channel.send(parcel("prefecture"))


def test_a_receiver_that_is_down_or_whose_certificate_nobody_vouches_for_gets_nothing(
    receiver: Any, tools: ChannelTools, parcel: Callable[..., Parcel]
) -> None:
    stranger = WebhookChannel(WebhookConfig(name="x", url=receiver.url), secret=SECRET, tools=tools)
    with pytest.raises(NotNow, match="certificate is not trusted"):
        stranger.send(parcel("x"))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    down = WebhookChannel(WebhookConfig(name="x", url=f"http://127.0.0.1:{port}/"), secret=SECRET, tools=tools)
    with pytest.raises(NotNow, match="connection refused"):
        down.send(parcel("x"))
    assert receiver.heard == []


def test_a_stored_body_that_breaks_the_schema_is_never_sent(channel: WebhookChannel, receiver: Any) -> None:
    import uuid

    with pytest.raises(NeverAgain, match="alert body"):
        channel.send(Parcel(delivery_id=uuid.uuid4(), alert_id=uuid.uuid4(), revision=1, body={}))
    assert receiver.heard == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://prefecture.example/alerts", "https"),
        ("ftp://prefecture.example/", "https://host/path"),
        ("https://user:word@prefecture.example/", "secret_file"),
        ("https://prefecture.example/警報", "ASCII"),
        ("https://prefecture.example:99999/", "[Pp]ort"),
    ],
)
def test_a_url_that_gives_secrets_away_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WebhookConfig(name="x", url=url)


@pytest.mark.parametrize("secret", [None, "", "short", "whsec_!!!", base64.b64encode(bytes(23)).decode()])
def test_a_secret_of_no_use_is_refused_and_not_shown(secret: str | None) -> None:
    with pytest.raises(ValueError, match="openssl rand") as refused:
        signing_key(secret)
    assert not secret or secret not in str(refused.value)
