"""Why an alert was raised: what each observation that it cites proves, in words, and the area concerned as it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Engine

from command.domain.alert import Alert
from command.domain.area import Area
from command.domain.geo import MPS_PER_KNOT, Position
from command.domain.realm import Realm
from command.i18n import text
from command.store.areas import area_as_of
from command.store.engine import realm_session
from command.store.evidence import alert_evidence, evidence_sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """One observation that an alert cites. words: what it proves, in the reader's language."""

    observation_id: bytes
    observed_at_us: int
    position: Position | None
    source: str
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """area: the version that was watched when the episode began, None where the rule is about none, or none is known.
    missing: how many observations are cited and were not kept.
    """

    area: Area | None
    proofs: Sequence[Proof]
    missing: int


def evidence_of(engine: Engine, realm: Realm, alert: Alert, language: str) -> Evidence:
    """The evidence of an alert, oldest first. Raises StoreUnavailable."""
    with realm_session(engine, realm) as session:
        rows = alert_evidence(session, alert.alert_id)
        sources = evidence_sources(session, alert.alert_id)
        area = None if alert.area is None else area_as_of(session, alert.area, alert.opened_at_us)
    proofs = []
    for row in rows:
        observation_id, position = row["observation_id"].tobytes(), _position(row)
        proofs.append(
            Proof(
                observation_id=observation_id,
                observed_at_us=int(row["observed_at_us"]),
                position=position,
                source=sources.get(observation_id, ""),
                words=_words(alert, row, position, area, language),
            )
        )
    kept = {proof.observation_id for proof in proofs}
    return Evidence(area=area, proofs=proofs, missing=len(set(alert.evidence) - kept))


def _words(alert: Alert, row: Any, position: Position | None, area: Area | None, language: str) -> str:
    try:
        said = [text(language, f"evidence.role.{alert.rule}")]
    except KeyError:
        said = [text(language, "evidence.role.other")]
    if area is not None and position is not None:
        inside = bool(area.geometry.covers(shapely.Point(position.lon, position.lat)))
        name = area.name_ja if language == "ja" else area.name_en
        said.append(text(language, "evidence.inside" if inside else "evidence.outside", area=name))
    if math.isfinite(row["speed_mps"]):
        said.append(text(language, "evidence.speed", knots=f"{row['speed_mps'] / MPS_PER_KNOT:.1f}"))
    if math.isfinite(row["battery_percent"]):
        said.append(text(language, "evidence.battery", percent=round(float(row["battery_percent"]))))
    return text(language, "evidence.separator").join(said)


def _position(row: Any) -> Position | None:
    if not (np.isfinite(row["lon"]) and np.isfinite(row["lat"])):
        return None
    return Position(lon=float(row["lon"]), lat=float(row["lat"]))
