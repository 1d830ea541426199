"""Evidence: the observations that an alert cites, copied so that they outlive the partitions of the history."""

from __future__ import annotations

import uuid
from typing import Final

import numpy as np
import numpy.typing as npt
from psycopg import sql
from sqlalchemy.orm import Session

from command.domain.alert import Finding
from command.domain.clock import US_PER_S
from command.domain.observation import SCHEME_PREFIX, IdentityScheme
from command.store.columnar import bound, read_rows
from command.store.engine import driver_connection
from command.store.observations import OBSERVATION_ROWS

SUBJECT_LOOKBACK_US: Final = 24 * 3_600 * US_PER_S
"""How long before its episode a finding may cite reports of its own subject, which are indexed."""
ANY_LOOKBACK_US: Final = 3_600 * US_PER_S
"""And reports of any other subject, which are looked for by time alone."""
_AHEAD_US: Final = 3_600 * US_PER_S

_KNOWN: Final = "SELECT observation_id FROM evidence WHERE alert_id = %s AND observation_id = ANY(%s)"
_COLUMNS: Final = sql.SQL("{}, source, recorded_at, attributes").format(OBSERVATION_ROWS.names)
_COPY_OVER: Final = sql.SQL(
    """
    INSERT INTO evidence (alert_id, {columns})
    SELECT %(alert_id)s, {columns} FROM observation
    WHERE {of_subject} observation_id = ANY(%(wanted)s) AND observed_at BETWEEN %(since)s AND %(until)s
    ON CONFLICT DO NOTHING RETURNING observation_id
    """
)
_OF_SUBJECT: Final = _COPY_OVER.format(columns=_COLUMNS, of_subject=sql.SQL("subject_key = %(key)s AND")).as_bytes(None)
_OF_ANY: Final = _COPY_OVER.format(columns=_COLUMNS, of_subject=sql.SQL("")).as_bytes(None)
_READ: Final = (
    sql.SQL("COPY (SELECT {} FROM evidence e WHERE alert_id = %s ORDER BY observed_at) TO STDOUT (FORMAT BINARY)")
    .format(OBSERVATION_ROWS.with_nan("e"))
    .as_bytes(None)
)


def copy_evidence(session: Session, alert_id: uuid.UUID, finding: Finding) -> tuple[bytes, ...]:
    """Copy the observations that `finding` cites to the alert's evidence; returns the ids that were not found."""
    cited = {uuid.UUID(bytes=observation_id) for observation_id in finding.evidence}
    if not cited:
        return ()
    start_us = min(finding.episode_start_us, finding.observed_at_us)
    until_us = max(finding.episode_start_us, finding.observed_at_us) + _AHEAD_US
    with driver_connection(session).cursor() as cursor:
        cited -= {row[0] for row in cursor.execute(_KNOWN, (alert_id, list(cited)))}
        key = _subject_key(finding.subject)
        searches = [(_OF_SUBJECT, SUBJECT_LOOKBACK_US)] if key is not None else []
        for query, lookback_us in (*searches, (_OF_ANY, ANY_LOOKBACK_US)):
            if not cited:
                break
            cursor.execute(
                query,
                {
                    "alert_id": alert_id,
                    "key": key,
                    "wanted": list(cited),
                    "since": bound(start_us - lookback_us),
                    "until": bound(until_us),
                },
            )
            cited -= {row[0] for row in cursor}
    return tuple(sorted(observation_id.bytes for observation_id in cited))


def alert_evidence(session: Session, alert_id: uuid.UUID) -> npt.NDArray[np.void]:
    """(n,) OBSERVATION_DTYPE: the copied observations of an alert, oldest first."""
    return read_rows(driver_connection(session), OBSERVATION_ROWS, _READ, alert_id)


def evidence_sources(session: Session, alert_id: uuid.UUID) -> dict[bytes, str]:
    """observation_id -> the source that reported it, of the copied observations of an alert."""
    with driver_connection(session).cursor() as cursor:
        rows = cursor.execute("SELECT observation_id, source FROM evidence WHERE alert_id = %s", (alert_id,))
        return {observation_id.bytes: source for observation_id, source in rows}


def _subject_key(subject: str) -> int | None:
    """The number in `mmsi:431002123` or `contact:5d1f`, as observation.subject_of wrote it; None for other subjects."""
    prefix, _, number = subject.partition(":")
    for scheme, name in SCHEME_PREFIX.items():
        if prefix == name:
            try:
                return int(number, 10 if scheme is IdentityScheme.MMSI else 16)
            except ValueError:
                return None
    return None
