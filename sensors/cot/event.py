"""One Cursor on Target event, out of XML or out of a TAK protocol v1 message.

Sources: "Cursor on Target Message Router User's Guide" (MITRE, MP 090284, 2009), appendix: the event schema 2.0
(`event`, `point`, `detail`); the TAK protocol's `takmessage.proto`, `cotevent.proto` and `detail.proto` (version 1), in
which `detail` keeps what has no field of its own as XML text. A value of 9999999 is "not known" in both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from lxml import etree

from command.domain.clock import EARLIEST_US, LATEST_US, to_us
from command.domain.cot import NOT_KNOWN

MAX_TEXT: Final = 500
MAX_UID: Final = 200
_TYPE: Final = re.compile(r"[A-Za-z0-9_.]{1,32}(?:-[A-Za-z0-9_.]{1,32}){0,15}")
_EMERGENCY_OF: Final = re.compile(r"-9-1-1$")
"""How ATAK names the emergency of a device: the device's uid with this behind it."""


class BadEvent(ValueError):
    """Bytes that are no event. `reason` is the word that they are counted by."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CotEvent(NamedTuple):
    """What the picture uses of an event. Floats are NaN and texts empty where the event does not say.

    `hae_m` is above the WGS 84 ellipsoid, not above the sea. `no_fix`: the sender has no position (0, 0).
    `about_uid` and `about_type` name the device that an emergency is about; they are the event's own otherwise.
    """

    uid: str
    cot_type: str
    how: str
    time_us: int
    lon: float
    lat: float
    no_fix: bool
    hae_m: float
    error_m: float
    callsign: str
    speed_mps: float
    course_deg: float
    battery_percent: float
    remarks: str
    emergency: str
    about_uid: str
    about_type: str


def _parser() -> etree.XMLParser:
    """Reads no file, no network, no definition of any entity, and no deep or huge tree."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )


def read_xml(data: bytes) -> CotEvent:
    """The event in `data`, from `<event` to `</event>`: with nothing before it there can be no document type.

    Raises BadEvent with bad_xml, no_uid, bad_type, bad_time, no_point, bad_number or position_out_of_range.
    """
    try:
        event = etree.fromstring(data, _parser())
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise BadEvent("bad_xml") from exc
    point, detail = event.find("point"), event.find("detail")
    if point is None:
        raise BadEvent("no_point")
    return _event(
        event.attrib,
        time_us=_time_us(event.get("time", "")),
        place={name: _number(point.get(name)) for name in ("lat", "lon", "hae", "ce")},
        detail=_detail(detail) if detail is not None else {},
    )


def read_protobuf(data: bytes) -> CotEvent:
    """The event in a TakMessage of the TAK protocol v1. Raises BadEvent: as read_xml, and bad_protobuf."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - protobuf loads with the first such datagram
    from takproto.proto import TakMessage  # noqa: PLC0415 - as above

    message = TakMessage()
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise BadEvent("bad_protobuf") from exc
    if not message.HasField("cotEvent"):
        raise BadEvent("no_event")
    event, typed = message.cotEvent, message.cotEvent.detail
    if not EARLIEST_US <= event.sendTime * 1_000 <= LATEST_US:
        raise BadEvent("bad_time")
    detail: dict[str, Any] = {}
    if typed.xmlDetail:
        try:
            root = etree.fromstring(f"<detail>{typed.xmlDetail}</detail>".encode(), _parser())
        except (etree.XMLSyntaxError, ValueError) as exc:
            raise BadEvent("bad_xml") from exc
        detail = _detail(root)
    if typed.HasField("contact"):
        detail["callsign"] = typed.contact.callsign
    if typed.HasField("status"):
        detail["battery"] = float(typed.status.battery) or math.nan
    if typed.HasField("track"):
        detail |= {"speed": typed.track.speed, "course": typed.track.course}
    return _event(
        {"uid": event.uid, "type": event.type, "how": event.how},
        time_us=event.sendTime * 1_000,
        # proto3 cannot tell a zero from what was not given: nobody measures to 0 m, or sends with 0 % left
        place={"lat": event.lat, "lon": event.lon, "hae": event.hae, "ce": event.ce or math.nan},
        detail=detail,
    )


def _detail(detail: Any) -> dict[str, Any]:
    """What is used of a `detail` element, by our word for it."""
    found: dict[str, Any] = {}
    contact, track, status = detail.find("contact"), detail.find("track"), detail.find("status")
    remarks, emergency, link = detail.find("remarks"), detail.find("emergency"), detail.find("link[@uid]")
    if contact is not None:
        found["callsign"] = contact.get("callsign", "")
    if track is not None:
        found |= {"speed": _number(track.get("speed")), "course": _number(track.get("course"))}
    if status is not None:
        found["battery"] = _number(status.get("battery"))
    if remarks is not None:
        found["remarks"] = remarks.text or ""
    if emergency is not None:
        found["emergency"] = emergency.get("type") or emergency.text or ""
    if link is not None:
        found |= {"link_uid": link.get("uid", ""), "link_type": link.get("type", "")}
    return found


def _event(head: Mapping[str, str], *, time_us: int, place: Mapping[str, float], detail: Mapping[str, Any]) -> CotEvent:
    """The event with everything checked that is checked for both forms."""
    uid, cot_type = head.get("uid", "").strip(), head.get("type", "")
    if not uid or len(uid) > MAX_UID:
        raise BadEvent("no_uid")
    if not _TYPE.fullmatch(cot_type):
        raise BadEvent("bad_type")
    lon, lat = place["lon"], place["lat"]
    if math.isnan(lon) or math.isnan(lat):
        raise BadEvent("no_point")
    if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
        raise BadEvent("position_out_of_range")
    no_fix = lon == 0.0 and lat == 0.0
    about_uid, about_type = uid, cot_type
    if cot_type.startswith("b-a-"):
        about_uid = str(detail.get("link_uid") or _EMERGENCY_OF.sub("", uid))[:MAX_UID]
        about_type = str(detail.get("link_type") or "a-f-G")
    course, battery = detail.get("course", math.nan), detail.get("battery", math.nan)
    error_m, speed = place["ce"], detail.get("speed", math.nan)
    return CotEvent(
        uid=uid,
        cot_type=cot_type,
        how=head.get("how", "")[:32],
        time_us=time_us,
        lon=math.nan if no_fix else lon,
        lat=math.nan if no_fix else lat,
        no_fix=no_fix,
        hae_m=place["hae"] if abs(place["hae"]) < NOT_KNOWN else math.nan,
        error_m=error_m if 0.0 <= error_m < NOT_KNOWN else math.nan,
        callsign=_text(detail.get("callsign", ""))[:MAX_UID],
        speed_mps=speed if 0.0 <= speed < NOT_KNOWN else math.nan,
        course_deg=course % 360.0 if 0.0 <= course <= 360.0 else math.nan,
        battery_percent=battery if 0.0 <= battery <= 100.0 else math.nan,
        remarks=_text(detail.get("remarks", "")),
        emergency=_text(detail.get("emergency", "")),
        about_uid=about_uid,
        about_type=about_type,
    )


def _text(value: str) -> str:
    return " ".join(value.split())[:MAX_TEXT]


def _number(text: str | None) -> float:
    """NaN where there is none. Raises BadEvent for what is no number, and for one that is not finite."""
    if text is None or not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError as exc:
        raise BadEvent("bad_number") from exc
    if not math.isfinite(value):
        raise BadEvent("bad_number")
    return value


def _time_us(text: str) -> int:
    """Times are UTC, whether they say Z or not."""
    try:
        moment = datetime.fromisoformat(text)
        us = to_us(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as exc:
        raise BadEvent("bad_time") from exc
    if not EARLIEST_US <= us <= LATEST_US:
        raise BadEvent("bad_time")
    return us
