"""Deterministic identity: the same fact has the same id, whoever computes it and however often."""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from collections.abc import Mapping
from typing import Final

_MIZUGIWA: Final = uuid.UUID("6f2c9d2e-6c0b-5c39-8f0e-0b7c6d697a75")
_US: Final = struct.Struct("<q")


def observation_id(source: str, observed_at_us: int, raw: bytes) -> bytes:
    """16 bytes from source, time and raw bytes (BLAKE2b-128)."""
    return hashlib.blake2b(_US.pack(observed_at_us) + raw, digest_size=16, key=source.encode()[:64]).digest()


def track_id(realm: str, subject: str) -> uuid.UUID:
    """The id of the track of an identified subject (`mmsi:431002123`) in a realm."""
    return uuid.uuid5(_MIZUGIWA, f"track|{realm}|{subject}")


def alert_id(realm: str, rule: str, subject: str, area: str | None, episode_start_us: int) -> uuid.UUID:
    """One episode of one rule about one subject is one alert."""
    return uuid.uuid5(_MIZUGIWA, f"alert|{realm}|{rule}|{subject}|{area or ''}|{episode_start_us}")


def delivery_id(alert: uuid.UUID, revision: int, channel: str) -> uuid.UUID:
    """One revision of an alert goes out once by each channel."""
    return uuid.uuid5(_MIZUGIWA, f"delivery|{alert}|{revision}|{channel}")


def response_id(login: str, key: str) -> uuid.UUID:
    """The id of the answer that a person sends under a key of their own: sent again, it is the same one."""
    return uuid.uuid5(_MIZUGIWA, f"response|{login}|{key}")


def stable_key(text: str) -> int:
    """A 63-bit key for an identity that is not a number (a MAVLink uid, a contact's label); 0 is never given."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 1) or 1


def notice_group_id(realm: str, route: str, labels: Mapping[str, str]) -> uuid.UUID:
    """Notices of one route with the same values of its group_by are one group."""
    written = json.dumps(dict(labels), sort_keys=True)
    return uuid.uuid5(_MIZUGIWA, f"group|{realm}|{route}|{written}")


def group_delivery_id(group: uuid.UUID, sent_us: int, channel: str, part: str) -> uuid.UUID:
    """One message of a group by one channel. part: tells apart the messages of one moment."""
    return uuid.uuid5(_MIZUGIWA, f"told|{group}|{sent_us}|{channel}|{part}")
