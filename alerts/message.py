"""The JSON body of an alert as other systems receive it: schemas/alert-1.json, published and versioned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from command.domain.alert import Alert, AlertEventKind
from command.domain.clock import from_us
from command.domain.realm import Realm, RealmKind
from command.i18n import LANGUAGES, text

SCHEMA_ID: Final = "urn:mizugiwa:schema:alert:1"
SCHEMA_VERSION: Final = 1
MAX_BODY_BYTES: Final = 1024 * 1024


class InvalidAlertMessage(ValueError):
    """A body that does not meet the published schema; the text says where and how."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaName:
    """What an area is called by people."""

    ja: str
    en: str


@cache
def schema() -> Mapping[str, Any]:
    """The published JSON Schema (draft 2020-12)."""
    loaded: dict[str, Any] = json.loads(
        resources.files("alerts").joinpath(f"schemas/alert-{SCHEMA_VERSION}.json").read_text("utf-8")
    )
    return loaded


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def rfc3339(us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC, to the microsecond: `2026-11-22T23:41:05.000000Z`."""
    return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def alert_body(alert: Alert, *, event: AlertEventKind, area_name: AreaName | None) -> dict[str, Any]:
    """The body of one revision of an alert. `area_name` None with an area that has gone: its slug stands for it."""
    name = area_name or (AreaName(ja=alert.area, en=alert.area) if alert.area else None)
    return {
        "schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "realm": alert.realm,
        "status": "actual" if Realm.parse(alert.realm).kind is RealmKind.LIVE else "exercise",
        "alert_id": str(alert.alert_id),
        "revision": alert.revision,
        "event": event.value,
        "rule": alert.rule,
        "severity": alert.severity.word,
        "subject": alert.subject,
        "subject_label": alert.subject_label,
        "track_id": None if alert.track_id is None else str(alert.track_id),
        "area": None if name is None else {"slug": alert.area, "name": {"ja": name.ja, "en": name.en}},
        "position": None if alert.position is None else {"lon": alert.position.lon, "lat": alert.position.lat},
        "opened_at": rfc3339(alert.opened_at_us),
        "observed_at": rfc3339(alert.observed_at_us),
        "recorded_at": rfc3339(alert.recorded_at_us),
        "cleared_at": None if alert.cleared_at_us is None else rfc3339(alert.cleared_at_us),
        "because": {language: _because(alert, language) for language in LANGUAGES},
        "evidence": [observation.hex() for observation in alert.evidence],
        "acknowledged": None
        if alert.acknowledged_at_us is None
        else {
            "at": rfc3339(alert.acknowledged_at_us),
            "by": alert.acknowledged_by or "",
            "comment": alert.comment,
        },
    }


def _because(alert: Alert, language: str) -> str:
    return text(language, alert.because, **alert.because_params)


def check_body(body: object) -> None:
    """Raises InvalidAlertMessage where `body` does not meet the schema."""
    error = best_match(_validator().iter_errors(body))
    if error is not None:
        raise InvalidAlertMessage(f"alert body at {error.json_path}: {error.message[:300]} ({SCHEMA_ID})")


def encode(body: Mapping[str, Any]) -> bytes:
    """The bytes that travel, checked against the schema. Raises InvalidAlertMessage."""
    check_body(body)
    try:
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as exc:
        raise InvalidAlertMessage(f"alert body cannot be written as JSON: {exc}") from exc
    if len(data) > MAX_BODY_BYTES:
        raise InvalidAlertMessage(f"alert body has {len(data)} bytes; {MAX_BODY_BYTES} at most")
    return data


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON (RFC 8259, section 6)")


def decode(data: bytes) -> dict[str, Any]:
    """The body in `data`, checked against the schema. Raises InvalidAlertMessage for anything else."""
    if len(data) > MAX_BODY_BYTES:
        raise InvalidAlertMessage(f"{len(data)} bytes; an alert has {MAX_BODY_BYTES} at most")
    try:
        body = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidAlertMessage(f"not JSON: {exc}") from exc
    check_body(body)
    checked: dict[str, Any] = body
    return checked
