"""The channel type `webhook`: the alert's JSON by HTTPS POST, signed as Standard Webhooks does.

Source: Standard Webhooks 1.0.0 (standardwebhooks.com): headers `webhook-id`, `webhook-timestamp`, `webhook-signature`;
the signature is HMAC-SHA256 over `id.timestamp.body`, written `v1,<base64>`; a secret is `whsec_<base64>` of 24 to 64
bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from time import time
from typing import ClassVar, Final

from pydantic import Field, field_validator

from alerts.channel import ChannelConfig, ChannelTools, NeverAgain, Parcel, plan_alert
from alerts.message import ALERT, InvalidMessage, encode
from alerts.outside import Post, destination, private_url
from alerts.pipeline import Notice, PlannedDelivery

_PREFIX: Final = "whsec_"


class WebhookConfig(ChannelConfig):
    """Another system that takes alerts by HTTPS."""

    type: str = "webhook"
    url: str = Field(max_length=2_000)

    @field_validator("url")
    @classmethod
    def _private(cls, url: str) -> str:
        private_url(url)
        return url

    @property
    def destinations(self) -> frozenset[str]:
        return frozenset({destination(self.url)})


class WebhookChannel:
    """Sends until the receiver has answered 2xx. The webhook-id is the delivery's id, whenever it is sent."""

    Config: ClassVar[type[ChannelConfig]] = WebhookConfig
    digests: ClassVar[bool] = True

    def __init__(self, config: WebhookConfig, *, secret: str | None, tools: ChannelTools) -> None:
        self.name = config.name
        self._key = signing_key(secret)
        self._post = Post(url=config.url, ca_certificate=config.ca_certificate, timeout_s=config.timeout_s)

    def plan(self, notice: Notice) -> PlannedDelivery:
        return plan_alert(notice, channel=self.name)

    def send(self, parcel: Parcel) -> None:
        try:
            body = encode(parcel.body, kind=ALERT)
        except InvalidMessage as exc:
            raise NeverAgain(str(exc)) from exc
        sent_at_s = int(time())  # the receiver holds it against its own clock
        headers = {
            "Content-Type": "application/json",
            "webhook-id": str(parcel.delivery_id),
            "webhook-timestamp": str(sent_at_s),
            "webhook-signature": signature(self._key, str(parcel.delivery_id), sent_at_s, body),
        }
        self._post.send(body, headers)


def signing_key(secret: str | None) -> bytes:
    """The key in `whsec_<base64>`. Raises ValueError that says what to write."""
    try:
        key = base64.b64decode((secret or "").removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("its secret is not base64; make one with: openssl rand -base64 32") from exc
    if not 24 <= len(key) <= 64:
        raise ValueError(
            "it signs what it sends: give it secret_file, a file (0600) with 24 to 64 random bytes in base64; "
            "make one with: openssl rand -base64 32"
        )
    return key


def signature(key: bytes, message_id: str, sent_at_s: int, body: bytes) -> str:
    """`v1,<base64>` over id, time and body."""
    signed = hmac.new(key, f"{message_id}.{sent_at_s}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
