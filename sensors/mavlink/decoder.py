"""MAVLink 1 and 2 bytes to observations of our vehicles and of what they see.

Every frame with a right checksum is `decoded`; those whose fields the picture does not use are counted by name under
`ignored` besides. A vehicle gives about one POSITION row for each GLOBAL_POSITION_INT, everything else merged into
it, and TELEMETRY rows where its mode, battery or link changes or no position comes.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S
from command.domain.ids import observation_id, stable_key
from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    empty_rows,
    subject_of,
)
from sensors.mavlink.contacts import ContactCounter, ais_vessel_row, contact_row
from sensors.mavlink.framing import Frame, FrameCutter, Garbage
from sensors.mavlink.statustext import TextAssembler
from sensors.mavlink.vehicle import STATE_MESSAGES, DepthReference, Held, Vehicle
from sensors.source import Tally

IDENTIFY_WITHIN_US: Final = 3 * US_PER_S
"""So long a vehicle's rows wait for its AUTOPILOT_VERSION; a track keeps the identity that it began with."""
MAX_SENDERS: Final = 512
MAX_ORIGINS: Final = 128
MAX_HELD_ROWS: Final = 512
BATCH_ROWS: Final = 512
_TELEMETRY_EVERY_US: Final = 900_000
_FACTS_EVERY_US: Final = 5 * US_PER_S
_DUPLICATE_WITHIN_US: Final = US_PER_S // 2
_HEARTBEAT: Final = mavlink.MAVLINK_MSG_ID_HEARTBEAT
_OF_THE_WHOLE: Final = (mavlink.MAVLINK_MSG_ID_BATTERY_STATUS, mavlink.MAVLINK_MSG_ID_DISTANCE_SENSOR)
"""What a smart battery or a range finder with a component id of its own says about its vehicle."""


class MavlinkDecoder:
    """Bytes to observations (sensors.source.Decoder). `origin` tells peers of one link apart.

    A vehicle's key is the link's name (the source) with the hardware uid of its AUTOPILOT_VERSION; without one, with
    its system and component id; and where a second peer uses the same ids at the same time, with the peer's address
    besides: two vehicles never become one track in silence. `whole`: each piece fed holds whole frames (a .tlog).
    """

    def __init__(self, *, tally: Tally, depth: DepthReference | None = None, whole: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        """Frames by message name."""
        self._tally = tally
        self._depth = depth or DepthReference()
        self._whole = whole
        self._cutters: OrderedDict[str, FrameCutter] = OrderedDict()
        self._senders: OrderedDict[tuple[str, int, int], Vehicle] = OrderedDict()
        self._parser = mavlink.MAVLink(None)
        self._texts = TextAssembler()
        self._contacts = ContactCounter()
        self._holding: dict[int, Vehicle] = {}
        self._ready: list[tuple[npt.NDArray[np.void], dict[str, Any]]] = []

    @property
    def vehicles(self) -> list[Vehicle]:
        """Senders that are vehicles, of every origin."""
        return [vehicle for vehicle in self._senders.values() if vehicle.speaks_for_itself]

    def feed(self, data: bytes, *, received_at_us: int, origin: str) -> ObservationBatch | None:
        for piece in self._cutter(origin).feed(data):
            self._take(piece, received_at_us, origin)
        self._settle_due(received_at_us)
        return self._batch() if len(self._ready) >= BATCH_ROWS else None

    def flush(self, *, received_at_us: int, end: bool = False) -> ObservationBatch | None:
        if end:
            for origin, cutter in self._cutters.items():
                for piece in cutter.feed(b"", end=True):
                    self._take(piece, received_at_us, origin)
        for vehicle, text in self._texts.expire(received_at_us, end=end):
            self._tell_text(vehicle, text, received_at_us)
        self._settle_due(received_at_us, end=end)
        return self._batch()

    def _cutter(self, origin: str) -> FrameCutter:
        cutter = self._cutters.get(origin)
        if cutter is None:
            while len(self._cutters) >= MAX_ORIGINS:
                self._cutters.popitem(last=False)
            cutter = self._cutters[origin] = FrameCutter(whole=self._whole)
        self._cutters.move_to_end(origin)
        return cutter

    def _sender(self, origin: str, system: int, component: int, received_at_us: int) -> Vehicle:
        key = (origin, system, component)
        sender = self._senders.get(key)
        if sender is None:
            while len(self._senders) >= MAX_SENDERS:
                _, forgotten = self._senders.popitem(last=False)
                self._settle(forgotten)
            sender = self._senders[key] = Vehicle(
                origin=origin, system=system, component=component, first_us=received_at_us, depth=self._depth
            )
        self._senders.move_to_end(key)
        return sender

    def _take(self, piece: Frame | Garbage, received_at_us: int, origin: str) -> None:
        self._tally.take(received_at_us=received_at_us)
        if isinstance(piece, Garbage):
            self._tally.reject(piece.reason, piece.raw, received_at_us=received_at_us)
            return
        sender = self._sender(origin, piece.system, piece.component, received_at_us)
        if any(piece.raw == raw and received_at_us - us < _DUPLICATE_WITHIN_US for raw, us in sender.recent):
            self._tally.duplicate()
            return
        sender.recent.append((piece.raw, received_at_us))
        sender.sequence.see(piece.sequence, received_at_us=received_at_us)
        sender.last_us = received_at_us
        reason = self._read(piece, sender, received_at_us)
        if reason:
            self._tally.reject(reason, piece.raw, received_at_us=received_at_us)
            return
        self.counts[piece.name] += 1
        self._tally.decode(observed_at_us=received_at_us)

    def _read(self, frame: Frame, sender: Vehicle, received_at_us: int) -> str:
        """Use one frame. Returns why it must be rejected, or nothing."""
        handler = _HANDLERS.get(frame.message_id)
        if handler is None and frame.message_id not in STATE_MESSAGES:
            self._tally.ignore(frame.name, received_at_us=received_at_us)
            return ""
        try:
            message = self._parser.decode(bytearray(frame.raw))
        except mavlink.MAVError:
            return "bad_payload"
        if frame.message_id in STATE_MESSAGES:
            self._learn(frame, message, sender, received_at_us)
            return ""
        return handler(self, frame, message, sender, received_at_us) if handler else ""

    def _learn(self, frame: Frame, message: Any, sender: Vehicle, received_at_us: int) -> None:
        if sender.is_part and frame.message_id in _OF_THE_WHOLE:
            sender = self._vehicle_of(sender, received_at_us)
        uid_before = sender.uid
        news = sender.learn(message, received_at_us=received_at_us)
        if uid_before and sender.uid != uid_before and sender.identity == "hardware":
            sender.key_text = ""  # another vehicle under the same ids: its own track from here on
            self._settle(sender)
        due = received_at_us - sender.last_row_us >= _TELEMETRY_EVERY_US and frame.message_id == _HEARTBEAT
        if sender.speaks_for_itself and (news or due):
            self._telemetry(sender, frame.raw, received_at_us, {})

    def _position(self, frame: Frame, message: Any, sender: Vehicle, received_at_us: int) -> str:
        if sender.is_ground_station or sender.is_part:
            whose = "ground_station" if sender.is_ground_station else "part_of_vehicle"
            self._tally.ignore(f"position_of_{whose}", received_at_us=received_at_us)
            return ""
        if abs(message.lat) > 900_000_000 or abs(message.lon) > 1_800_000_000:
            return "out_of_range"
        row = _row(received_at_us, ObservationKind.POSITION)
        sender.place(row, message, received_at_us=received_at_us)
        self._report(sender, row, frame.raw, {})
        return ""

    def _radio(self, frame: Frame, message: Any, sender: Vehicle, received_at_us: int) -> str:
        del frame
        for vehicle in self._senders.values():
            if vehicle.origin == sender.origin:
                vehicle.radio(message, received_at_us=received_at_us)
        return ""

    def _photo(self, frame: Frame, message: Any, sender: Vehicle, received_at_us: int) -> str:
        if abs(message.lat) > 900_000_000 or abs(message.lng) > 1_800_000_000:
            return "out_of_range"
        photo: dict[str, Any] = {"index": message.img_idx, "camera": message.cam_idx}
        if message.lat or message.lng:
            photo |= {"lon": message.lng / 1e7, "lat": message.lat / 1e7}
        if math.isfinite(message.alt_msl):
            photo["altitude_amsl_m"] = round(message.alt_msl, 2)
        vehicle = self._vehicle_of(sender, received_at_us) if sender.is_part else sender
        self._telemetry(vehicle, frame.raw, received_at_us, {"photo": photo})
        return ""

    def _text(self, frame: Frame, message: Any, sender: Vehicle, received_at_us: int) -> str:
        for text in self._texts.add(sender, message, frame.raw, received_at_us=received_at_us):
            self._tell_text(sender, text, received_at_us)
        return ""

    def _tell_text(self, sender: Vehicle, text: Mapping[str, Any], received_at_us: int) -> None:
        if not sender.is_ground_station:
            facts = {"text": text["text"], "text_severity": text["severity"]}
            vehicle = self._vehicle_of(sender, received_at_us) if sender.is_part else sender
            self._telemetry(vehicle, text["raw"], received_at_us, facts)

    def _contact(self, frame: Frame, message: Any, sender: Vehicle, received_at_us: int) -> str:
        if not message.tracking_status & mavlink.CAMERA_TRACKING_STATUS_FLAGS_ACTIVE:
            return ""
        if abs(message.lat) > 900_000_000 or abs(message.lon) > 1_800_000_000:
            return "out_of_range"
        row = _row(received_at_us, ObservationKind.POSITION)
        number = self._contacts.number(
            (sender.origin, sender.system, sender.component, message.camera_device_id),
            contact_row(row, message),
            received_at_us=received_at_us,
        )
        label = f"{sender.system}-{sender.component}-{message.camera_device_id}-{number}"
        vehicle = self._vehicle_of(sender, received_at_us)
        self._hold(vehicle, Held(row, frame.raw, {"label": f"C{label}"}, contact=label))
        return ""

    def _ais_vessel(self, frame: Frame, message: Any, sender: Vehicle, received_at_us: int) -> str:
        row = _row(received_at_us, ObservationKind.POSITION)
        facts = ais_vessel_row(row, message)
        if facts is None:
            return "out_of_range"
        self._hold(self._vehicle_of(sender, received_at_us), Held(row, frame.raw, facts, contact="ais"))
        return ""

    def _vehicle_of(self, sender: Vehicle, received_at_us: int) -> Vehicle:
        """The vehicle that carries a camera or a receiver: the system's autopilot, component 1 until known."""
        if sender.speaks_for_itself:
            return sender
        same = (v for v in self._senders.values() if v.origin == sender.origin and v.system == sender.system)
        found = next((v for v in same if v.speaks_for_itself), None)
        return found or self._sender(sender.origin, sender.system, mavlink.MAV_COMP_ID_AUTOPILOT1, received_at_us)

    def _telemetry(self, sender: Vehicle, raw: bytes, received_at_us: int, facts: dict[str, Any]) -> None:
        row = _row(received_at_us, ObservationKind.TELEMETRY)
        sender.changed = True
        self._report(sender, row, raw, facts)

    def _report(self, vehicle: Vehicle, row: npt.NDArray[np.void], raw: bytes, facts: dict[str, Any]) -> None:
        """A row about the vehicle itself, its state merged in."""
        vehicle.fill(row)
        now_us = int(row["received_at_us"][0])
        if vehicle.changed or facts or now_us - vehicle.last_facts_us >= _FACTS_EVERY_US:
            facts = {**vehicle.facts, **facts}
            vehicle.changed, vehicle.last_facts_us = False, now_us
        vehicle.last_row_us = now_us
        self._hold(vehicle, Held(row, raw, facts))

    def _hold(self, vehicle: Vehicle, held: Held) -> None:
        if vehicle.key_text:
            self._release(vehicle, held)
            return
        if len(vehicle.held) >= MAX_HELD_ROWS:
            vehicle.held.pop(0)
            self._tally.drop("held_for_identity")
        vehicle.held.append(held)
        self._holding[id(vehicle)] = vehicle

    def _settle_due(self, now_us: int, *, end: bool = False) -> None:
        for vehicle in list(self._holding.values()):
            if (
                end
                or (vehicle.speaks_for_itself and vehicle.uid)
                or now_us - int(vehicle.held[0].row["received_at_us"][0]) >= IDENTIFY_WITHIN_US
            ):
                self._settle(vehicle)

    def _settle(self, vehicle: Vehicle) -> None:
        """Fix the vehicle's identity and let its rows go. What a ground station said about itself is none."""
        if not vehicle.key_text:
            plain = f"{self._tally.source}|{vehicle.system}|{vehicle.component}"
            others = (v for v in self._senders.values() if v is not vehicle and v.key_text == plain)
            if vehicle.uid:
                vehicle.key_text, vehicle.identity = f"{self._tally.source}|uid:{vehicle.uid}", "hardware"
            elif any(other.last_us >= vehicle.first_us for other in others):
                vehicle.key_text, vehicle.identity = f"{plain}|{vehicle.origin}", "address"
            else:
                vehicle.key_text, vehicle.identity = plain, "system_id"
        held, vehicle.held = vehicle.held, []
        self._holding.pop(id(vehicle), None)
        for item in held:
            if vehicle.is_ground_station and item.contact is None:
                self._tally.ignore("position_of_ground_station")
            else:
                self._release(vehicle, item)

    def _release(self, vehicle: Vehicle, held: Held) -> None:
        row, facts = held.row, held.attributes
        key = stable_key(vehicle.key_text)
        subject = subject_of(IdentityScheme.MAVLINK, key)
        if held.contact is None:
            row["subject_scheme"], row["subject_key"] = IdentityScheme.MAVLINK, key
            vehicle.finish(row)
            if facts:
                facts = {**facts, "identity": vehicle.identity}
        else:
            if not row["subject_scheme"][0]:
                row["subject_scheme"] = IdentityScheme.CONTACT
                row["subject_key"] = stable_key(f"{vehicle.key_text}|{held.contact}")
            facts = {**facts, "reported_by": subject}
        observed_at_us = int(row["observed_at_us"][0])
        row["observation_id"] = np.void(observation_id(self._tally.source, observed_at_us, held.raw))
        self._ready.append((row, facts))

    def _batch(self) -> ObservationBatch | None:
        if not self._ready:
            return None
        ready, self._ready = self._ready, []
        return ObservationBatch(
            source=self._tally.source,
            rows=np.concatenate([row for row, _ in ready]),
            attributes={i: facts for i, (_, facts) in enumerate(ready) if facts},
        )


def _row(received_at_us: int, kind: ObservationKind) -> npt.NDArray[np.void]:
    """One row of OBSERVATION_DTYPE, shape (1,). MAVLink's clocks count from boot, so the time is that of reception."""
    row = empty_rows(1)
    row["observed_at_us"] = row["received_at_us"] = received_at_us
    row["kind"] = kind
    row["flags"] = ObservationFlag.TIME_RECEIVED
    row["subject_kind"] = SubjectKind.UNKNOWN
    return row


_HANDLERS: Final[Mapping[int, Callable[[MavlinkDecoder, Frame, Any, Vehicle, int], str]]] = {
    mavlink.MAVLINK_MSG_ID_GLOBAL_POSITION_INT: MavlinkDecoder._position,
    mavlink.MAVLINK_MSG_ID_RADIO_STATUS: MavlinkDecoder._radio,
    mavlink.MAVLINK_MSG_ID_CAMERA_FEEDBACK: MavlinkDecoder._photo,
    mavlink.MAVLINK_MSG_ID_STATUSTEXT: MavlinkDecoder._text,
    mavlink.MAVLINK_MSG_ID_CAMERA_TRACKING_GEO_STATUS: MavlinkDecoder._contact,
    mavlink.MAVLINK_MSG_ID_AIS_VESSEL: MavlinkDecoder._ais_vessel,
}
