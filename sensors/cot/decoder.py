"""Cursor on Target to observations: frame, read, tell repetitions, count.

Which kind of thing an event is, its type says: "atoms" (`a-<affiliation>-<dimension>-<function>`) are things at a
place, `b-a-o` is an emergency, everything else (chat, drawings, routes, pings) is not about a place of something and is
counted as ignored by type. Friends say who they are, so their uid is a LABEL; anybody else is a contact that somebody
saw, and the uid is that somebody's number for it. A uid `MMSI-431002123` (gateways that pass AIS on) is the vessel.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from command.domain import ids
from command.domain.clock import US_PER_S
from command.domain.observation import (
    OBSERVATION_DTYPE,
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
)
from sensors.cot.event import BadEvent, CotEvent, read_protobuf, read_xml
from sensors.cot.framing import EventStream, Framed, frame_datagram
from sensors.recent import Recent
from sensors.source import Tally

DUPLICATE_WINDOW_S: Final = 300.0
EMERGENCY_LASTS_S: Final = 600.0
"""A device repeats its emergency until it is cancelled; one not heard of for this long marks its reports no more."""
BATCH_ROWS: Final = 1_000
MAX_EMERGENCIES: Final = 1_024
_NAN: Final = float("nan")
_FRIENDS: Final = frozenset("fa")
"""Friend and assumed friend."""
AFFILIATIONS: Final = {
    "f": "friend",
    "a": "assumed_friend",
    "n": "neutral",
    "h": "hostile",
    "s": "suspect",
    "j": "joker",
    "k": "faker",
    "u": "unknown",
    "p": "pending",
    "o": "none_specified",
}
_MMSI: Final = re.compile(r"(?:MMSI|AIS)[-._:]?([1-9][0-9]{8})", re.IGNORECASE)
_KINDS: Final = (
    (re.compile(r"a-.-A-(?:M-F-Q|M-H-Q|C-F-q)"), SubjectKind.AIR_DRONE),
    (re.compile(r"a-.-A"), SubjectKind.AIRCRAFT),
    (re.compile(r"a-.-S-C-M-M-D"), SubjectKind.SURFACE_DRONE),
    (re.compile(r"a-.-S"), SubjectKind.VESSEL),
    (re.compile(r"a-.-U-S-U"), SubjectKind.UNDERWATER_DRONE),
)
"""The first that matches; a diver, a vehicle and a person have no kind of their own and stay UNKNOWN."""
_EMERGENCY: Final = "b-a-o"
_CANCELLED: Final = "b-a-o-can"


class CotDecoder:
    """A Decoder of CoT. Every event ends as decoded, rejected or duplicate.

    datagrams: each `feed` is one whole datagram; else it is a piece of a stream. friends_are_ours: what friends report
    is of our own teams, which are never alarmed on as contacts.
    """

    def __init__(self, *, tally: Tally, datagrams: bool = False, friends_are_ours: bool = False) -> None:
        self._tally = tally
        self._source = tally.source
        self._datagrams = datagrams
        self._friend_flags = int(ObservationFlag.ASSET) if friends_are_ours else 0
        self._stream = EventStream()
        self._recent = Recent(int(DUPLICATE_WINDOW_S * US_PER_S))
        self._emergencies: dict[str, tuple[int, str]] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._facts: dict[int, dict[str, Any]] = {}

    def feed(self, data: bytes, *, received_at_us: int, origin: str) -> ObservationBatch | None:
        """Take a datagram, or bytes of a stream, which may be split anywhere between calls of one origin."""
        for framed in frame_datagram(data) if self._datagrams else self._stream.push(data, origin):
            self._take(framed, received_at_us)
        return self._take_batch() if len(self._rows) >= BATCH_ROWS else None

    def flush(self, *, received_at_us: int, end: bool = False) -> ObservationBatch | None:
        """What is held. With `end`, events that stayed unfinished are counted."""
        if end:
            for framed in self._stream.end():
                self._take(framed, received_at_us)
        return self._take_batch() if self._rows else None

    def _take(self, framed: Framed, received_at_us: int) -> None:
        self._tally.take(received_at_us=received_at_us)
        try:
            if framed.problem is not None:
                raise BadEvent(framed.problem)
            event = read_protobuf(framed.data) if framed.is_protobuf else read_xml(framed.data)
        except BadEvent as exc:
            self._tally.reject(exc.reason, framed.data, received_at_us=received_at_us)
            return
        observation_id = ids.observation_id(self._source, event.time_us, framed.data)
        if self._recent.has(observation_id, event.time_us):
            self._tally.duplicate()
            return
        self._recent.add(observation_id, event.time_us)
        self._tally.decode(observed_at_us=event.time_us, received_at_us=received_at_us)
        is_emergency = event.cot_type.startswith(_EMERGENCY)
        if is_emergency:
            self._hear_emergency(event)
        if is_emergency or event.cot_type.startswith("a-"):
            self._append(event, observation_id, received_at_us)
        else:
            self._tally.ignore("-".join(event.cot_type.split("-")[:3]))

    def _hear_emergency(self, event: CotEvent) -> None:
        self._emergencies.pop(event.about_uid, None)
        if event.cot_type == _CANCELLED:
            return
        self._emergencies[event.about_uid] = (event.time_us, event.emergency or event.cot_type)
        if len(self._emergencies) > MAX_EMERGENCIES:
            del self._emergencies[next(iter(self._emergencies))]

    def _append(self, event: CotEvent, observation_id: bytes, received_at_us: int) -> None:
        scheme, key = self._identity(event)
        affiliation = event.about_type[2:3]
        flags = self._friend_flags if affiliation in _FRIENDS else 0
        if event.no_fix:
            flags |= int(ObservationFlag.NO_FIX)
        emergency = self._emergencies.get(event.about_uid)
        if emergency is not None and abs(event.time_us - emergency[0]) <= EMERGENCY_LASTS_S * US_PER_S:
            flags |= int(ObservationFlag.DISTRESS)
        self._facts[len(self._rows)] = self._facts_of(event, scheme, emergency[1] if emergency else "")
        self._rows.append(
            (
                observation_id,
                event.time_us,
                received_at_us,
                int(scheme),
                int(_kind_of(event.about_type)),
                int(ObservationKind.POSITION),
                flags,
                key,
                event.lon,
                event.lat,
                event.error_m,
                _NAN,  # `hae` is above the ellipsoid: some 30 m off above the sea around Japan
                _NAN,
                _NAN,
                event.speed_mps,
                event.course_deg,
                _NAN,
                event.battery_percent,
                _NAN,
            )
        )

    def _identity(self, event: CotEvent) -> tuple[IdentityScheme, int]:
        if vessel := _MMSI.fullmatch(event.about_uid):
            return IdentityScheme.MMSI, int(vessel[1])
        if event.about_type[2:3] in _FRIENDS:
            return IdentityScheme.LABEL, ids.stable_key(event.about_uid)
        return IdentityScheme.CONTACT, ids.stable_key(f"{self._source}|{event.about_uid}")

    @staticmethod
    def _facts_of(event: CotEvent, scheme: IdentityScheme, emergency: str) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "cot_type": event.about_type,
            "affiliation": AFFILIATIONS.get(event.about_type[2:3], "unknown"),
        }
        if scheme is not IdentityScheme.MMSI:
            is_own_name = event.about_uid == event.uid and event.callsign
            facts |= {"cot_uid": event.about_uid} | ({"label": event.callsign} if is_own_name else {})
        if event.remarks:
            facts["text"] = event.remarks
        if not np.isnan(event.hae_m):
            facts["altitude_hae_m"] = round(event.hae_m, 1)
        if emergency or event.cot_type == _CANCELLED:
            facts["emergency"] = emergency
        return facts

    def _take_batch(self) -> ObservationBatch:
        batch = ObservationBatch(
            source=self._source, rows=np.array(self._rows, dtype=OBSERVATION_DTYPE), attributes=self._facts
        )
        self._rows, self._facts = [], {}
        return batch


def _kind_of(cot_type: str) -> SubjectKind:
    return next((kind for pattern, kind in _KINDS if pattern.match(cot_type)), SubjectKind.UNKNOWN)
