"""Findings about a track, built the same way by every rule."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from alerts.rule import World
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.geo import Position


def track_finding(
    kind: FindingKind,
    because: str,
    *,
    severity: Severity,
    subject: str,
    track_id: bytes,
    world: World,
    start_us: int,
    at_us: int,
    position: Position | None,
    params: Mapping[str, Any],
    evidence: tuple[bytes, ...] = (),
    area: str | None = None,
    rule: str | None = None,
) -> Finding:
    """A finding about a track. `because` is `<rule>` or `<rule>.<variant>`; the name of the subject joins `params`.

    rule: its name, where that is not the first word of `because`.
    """
    track = world.tracks.get(track_id)
    return Finding(
        kind=kind,
        rule=rule or because.split(".", 1)[0],
        severity=severity,
        subject=subject,
        area=area,
        episode_start_us=start_us,
        observed_at_us=at_us,
        position=position,
        because=f"because.{because}",
        because_params={"subject": world.names.of(subject, track.attributes if track else {}), **params},
        evidence=evidence,
        track_id=uuid.UUID(bytes=track_id),
    )


def place_in(entry: Mapping[str, Any]) -> Position | None:
    """The `place` that an entry remembers (see `place_of`)."""
    place = entry["place"]
    return Position(lon=place[0], lat=place[1]) if place else None


def place_of(row: np.void) -> list[float] | None:
    """The place of a track state as an entry remembers it: longitude and latitude, None where it has none.

    What a rule says later about this state must not depend on which states came since in the same flush, so it keeps
    the place itself and does not ask the latest track for it.
    """
    position = position_of(row)
    return [position.lon, position.lat] if position else None


def position_of(row: np.void) -> Position | None:
    """The place of a track state; None where it has none."""
    lon, lat = float(row["lon"]), float(row["lat"])
    return Position(lon=lon, lat=lat) if math.isfinite(lon) and math.isfinite(lat) else None
