"""The contract of a channel that sends by itself: what it is told, what it must do, and how it says that it could not.

AMQP is the one channel that is not one of these: the broker's confirms come later, and dispatch waits for them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator
from shapely.geometry.base import BaseGeometry

from alerts.message import ALERT, InvalidMessage, alert_body, check_body
from alerts.pipeline import Notice, PlannedDelivery
from command.domain.realm import Realm, RealmKind

AMQP: Final = "amqp"
"""The name of the channel to the teams, which every realm has at its own vhost."""


class NotNow(Exception):
    """It could not be sent; tried again. retry_after_s: the other side asked for this pause."""

    def __init__(self, why: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class NeverAgain(Exception):
    """The other side has refused this very message, and would again: a person has to look at it."""


class ChannelConfig(BaseModel):
    """What every channel's configuration has. A channel's own Config extends it, in the same file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$")
    type: str
    serves: Literal["live", "exercises"] = "live"
    """Alerts of the realm `live` only, or those of drills and replays only: no channel has both."""
    timeout_s: float = Field(default=10.0, ge=1.0, le=60.0)
    """The longest that one attempt may take."""
    max_attempts: int = Field(default=40, ge=1, le=1_000)
    give_up_after_hours: float = Field(default=24.0, ge=0.1, le=24.0 * 30)
    secret_file: Path | None = None
    """What only we and the other side know, 0600; the environment's MIZUGIWA_CHANNEL_SECRET_<NAME> goes before it."""
    ca_certificate: Path | None = None
    """PEM of who signed the other side's certificate; the usual authorities unless given."""

    @field_validator("ca_certificate")
    @classmethod
    def _there(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(f"{path} is not a file")
        return path

    @field_validator("name")
    @classmethod
    def _not_ours(cls, name: str) -> str:
        if name == AMQP:
            raise ValueError("amqp is the channel to the teams, which is always there; choose another name")
        return name

    def serves_realm(self, realm: Realm) -> bool:
        return (realm.kind is RealmKind.LIVE) == (self.serves == "live")

    @property
    def destinations(self) -> frozenset[str]:
        """Where it goes, in words that are equal where the place is the same."""
        return frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelSetup:
    """A channel as it is configured, with its secret, which no log shows."""

    config: ChannelConfig
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """One stored delivery that is to be sent. Sent again it is the same, so that the other side knows it."""

    delivery_id: uuid.UUID
    alert_id: uuid.UUID
    revision: int
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelTools:
    """What a channel may ask of the realm, from its own thread.

    earlier: bodies of what went or will go out by this channel about the same alert, oldest revision first. shape_of:
    an area's shape on WGS 84 by its slug, None where there is no such area.
    """

    realm: Realm
    earlier: Callable[[Parcel], Sequence[Mapping[str, Any]]]
    shape_of: Callable[[str], BaseGeometry | None]


class SendingChannel(Protocol):
    """One file a channel, one line in alerts/registry.py: made of its Config, its secret and its tools.

    `send` is called by one thread, and may block.
    """

    Config: ClassVar[type[ChannelConfig]]

    @property
    def name(self) -> str: ...

    def plan(self, notice: Notice) -> PlannedDelivery | None:
        """The delivery of a notice; None where it has nothing that this channel could carry."""

    def send(self, parcel: Parcel) -> str | None:
        """Returns when the other side has it, at most about timeout_s later; a text says what was not quite right.

        Raises NotNow and NeverAgain.
        """


def plan_alert(notice: Notice, *, channel: str) -> PlannedDelivery:
    """The delivery of a notice's message by a channel. One that breaks the schema says so in `problem`: it is kept as
    dead, not lost.
    """
    alert = notice.alert
    body: Mapping[str, Any] = {}
    problem: str | None = None
    try:
        body = alert_body(
            alert, area_name=notice.area_name, place=notice.place, owner=notice.owner, grouped=notice.grouped
        )
        check_body(body, kind=ALERT)
    except (InvalidMessage, LookupError, ValueError, TypeError) as exc:
        problem = f"{type(exc).__name__}: {exc}"
    return PlannedDelivery(
        delivery_id=notice.message_id(channel),
        alert_id=alert.alert_id,
        revision=alert.revision,
        severity=alert.severity,
        channel=channel,
        routing_key=notice.routing_key,
        body=body,
        problem=problem,
    )
