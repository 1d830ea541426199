"""The channel type `cap`: Common Alerting Protocol messages, put into a folder with an Atom feed, posted, or both.

Source: OASIS Common Alerting Protocol Version 1.2 (2010), sections 3.2 (elements) and 3.3 (implementation notes). The
revisions of one alert are a chain: the first is an Alert, each later one an Update that references what went out
before, and a Cancel once its condition is over. Aggregators poll feeds (RFC 4287) of such messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from lxml import etree
from pydantic import Field, field_validator, model_validator
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from alerts.channel import ChannelConfig, ChannelTools, NeverAgain, NotNow, Parcel, plan_alert
from alerts.explain import rule_name
from alerts.outside import Post, destination, private_url
from alerts.pipeline import Notice, PlannedDelivery
from alerts.words import headline, position_words, xml_text
from command.domain.alert import Severity
from command.i18n import text
from command.i18n.times import JST

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE: Final = "application/cap+xml"
FEED_NAME: Final = "feed.atom"
MAX_IN_FEED: Final = 100
MAX_IN_FOLDER: Final = 1_000
"""The oldest messages of a folder go first."""
CIRCLE_KM: Final = 1.0
"""Around the last known position: a contact that is looked for is not a point."""
MAX_VERTICES: Final = 100
"""Of one polygon; receivers on telephones draw them."""
MAX_HEADLINE: Final = 160
"""What short-message receivers show (section 3.2.2, headline)."""
_ATOM: Final = "http://www.w3.org/2005/Atom"
_LANGUAGES: Final = {"ja": "ja-JP", "en": "en-US"}
_SENDER: Final = re.compile(r"[!-%'-+\--;=?-~]{1,200}")
"""No white space, commas, `<` or `&` (section 3.2.1, sender)."""
_SEVERITIES: Final = {
    Severity.CRITICAL.word: "Extreme",
    Severity.HIGH.word: "Severe",
    Severity.MEDIUM.word: "Moderate",
    Severity.LOW.word: "Minor",
}
_CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "distress": ("Rescue", "Safety"),
    "drone_link_lost": ("Infra",),
    "drone_low_battery": ("Infra",),
    "source_silent": ("Infra",),
}
"""By rule; what is not here is about who does what at the coast: Security."""


class CapConfig(ChannelConfig):
    """Where other agencies take our messages from, and what they say of us."""

    type: str = "cap"
    url: str | None = Field(default=None, max_length=2_000)
    folder: Path | None = None
    feed_url: str | None = Field(default=None, max_length=2_000)
    """How the others reach the folder."""
    sender: str
    sender_name: str | None = Field(default=None, min_length=1, max_length=200)
    contact: str | None = Field(default=None, min_length=1, max_length=200)
    scope: Literal["Public", "Restricted"] = "Restricted"
    restriction: str = Field(default="agencies that watch the coast", min_length=1, max_length=200)
    """Who may have it, where the scope is Restricted."""
    expires_hours: float = Field(default=24.0, ge=0.1, le=24.0 * 30)

    @field_validator("url", "feed_url")
    @classmethod
    def _private(cls, url: str | None) -> str | None:
        if url is not None:
            private_url(url)
        return url

    @field_validator("folder")
    @classmethod
    def _a_folder(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            raise ValueError(f"{folder} is not a folder; make it, and let this account write into it")
        return folder

    @field_validator("sender")
    @classmethod
    def _one_word(cls, sender: str) -> str:
        if not _SENDER.fullmatch(sender):
            raise ValueError("write a name that is ours alone, as in watch@customs.example: no spaces, commas, < or &")
        return sender

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.url is None and self.folder is None:
            raise ValueError("set url, where messages are posted to, or folder, where they are put, or both")
        if (self.folder is None) != (self.feed_url is None):
            raise ValueError("set both folder and feed_url, how the others reach the folder, or neither")
        return self

    @property
    def destinations(self) -> frozenset[str]:
        posted = set() if self.url is None else {destination(self.url)}
        return frozenset(posted if self.folder is None else posted | {f"folder {self.folder.resolve()}"})


class CapChannel:
    """Puts a message into its folder and posts it. Its secret, where there is one, is the bearer token of the POST."""

    Config: ClassVar[type[ChannelConfig]] = CapConfig

    def __init__(self, config: CapConfig, *, secret: str | None, tools: ChannelTools) -> None:
        self.name = config.name
        self._config, self._tools, self._token = config, tools, secret

    def plan(self, notice: Notice) -> PlannedDelivery:
        return plan_alert(notice, channel=self.name)

    def send(self, parcel: Parcel) -> None:
        config, body = self._config, parcel.body
        earlier = self._tools.earlier(parcel)
        shape = None if body.get("area") is None else self._tools.shape_of(body["area"]["slug"])
        try:
            message = cap_message(body, config, earlier=earlier, shape=shape)
        except (LookupError, ValueError, TypeError) as exc:
            raise NeverAgain(f"no message can be made of it: {type(exc).__name__}: {exc}") from exc
        if config.folder is not None and config.feed_url is not None:
            try:
                publish(config.folder, config.feed_url, identifier(body), message, author=config.sender)
            except OSError as exc:
                raise NotNow(f"{config.folder}: {exc.strerror}; let this account write into it") from exc
        if config.url is not None:
            token = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
            post = Post(url=config.url, ca_certificate=config.ca_certificate, timeout_s=config.timeout_s)
            post.send(message, {"Content-Type": MEDIA_TYPE, **token})


def identifier(body: Mapping[str, Any]) -> str:
    """One revision of one alert is one message."""
    return f"{body['alert_id']}.{body['revision']}"


def cap_message(
    body: Mapping[str, Any], config: CapConfig, *, earlier: Sequence[Mapping[str, Any]], shape: BaseGeometry | None
) -> bytes:
    """The message of an alert's body. earlier: bodies of what went out before about the same alert. shape: of its area,
    on WGS 84.
    """
    over = body["cleared_at"] is not None
    root = etree.Element(f"{{{NAMESPACE}}}alert", nsmap={None: NAMESPACE})
    _add(root, "identifier", identifier(body))
    _add(root, "sender", config.sender)
    _add(root, "sent", _moment(body["recorded_at"]))
    _add(root, "status", "Actual" if body["status"] == "actual" else "Exercise")
    _add(root, "msgType", "Alert" if not earlier else "Cancel" if over else "Update")
    _add(root, "source", "mizugiwa")
    _add(root, "scope", config.scope)
    if config.scope == "Restricted":
        _add(root, "restriction", config.restriction)
    if body["status"] != "actual":
        _add(root, "note", f"{text('ja', 'message.exercise')} {text('en', 'message.exercise')}")
    if earlier:
        references = (f"{config.sender},{identifier(told)},{_moment(told['recorded_at'])}" for told in earlier)
        _add(root, "references", " ".join(references))
    for language in _LANGUAGES:
        _info(root, body, config, language, over=over, shape=shape)
    made: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return made


def _info(
    root: Any, body: Mapping[str, Any], config: CapConfig, language: str, *, over: bool, shape: BaseGeometry | None
) -> None:
    info = _child(root, "info")
    _add(info, "language", _LANGUAGES[language])
    for category in _CATEGORIES.get(body["rule"], ("Security",)):
        _add(info, "category", category)
    _add(info, "event", rule_name(body["rule"], language))
    _add(info, "responseType", "AllClear" if over else "Assess")
    pressing = body["severity"] in (Severity.CRITICAL.word, Severity.HIGH.word)
    _add(info, "urgency", "Past" if over else "Immediate" if pressing else "Expected")
    _add(info, "severity", _SEVERITIES[body["severity"]])
    # what the machine says is likely; what an officer has looked at was observed
    _add(info, "certainty", "Likely" if body["acknowledged"] is None else "Observed")
    _add(info, "onset", _moment(body["opened_at"]))
    _add(info, "expires", _moment(body["recorded_at"], later=timedelta(hours=config.expires_hours)))
    _add(info, "senderName", config.sender_name or text(language, "console.name"))
    _add(info, "headline", headline(body, language, limit=MAX_HEADLINE))
    _add(info, "description", body["because"][language])
    if config.contact is not None:
        _add(info, "contact", config.contact)
    for name in ("alert_id", "revision", "rule", "subject", "observed_at"):
        parameter = _child(info, "parameter")
        _add(parameter, "valueName", f"mizugiwa:{name}")
        _add(parameter, "value", str(body[name]))
    _areas(info, body, language, shape)


def _areas(info: Any, body: Mapping[str, Any], language: str, shape: BaseGeometry | None) -> None:
    """Where the subject is, and the watched area that it is about: two areas, because one would be both together."""
    position = body["position"]
    if position is not None:
        at = _child(info, "area")
        _add(at, "areaDesc", position_words(body, language))
        _add(at, "circle", f"{position['lat']:.5f},{position['lon']:.5f} {CIRCLE_KM:g}")
    rings = list(_rings(shape))
    if rings and body["area"] is not None:
        around = _child(info, "area")
        _add(around, "areaDesc", body["area"]["name"][language])
        for ring in rings:
            _add(around, "polygon", ring)


def _rings(shape: BaseGeometry | None) -> Iterator[str]:
    """Outlines as `lat,lon lat,lon ...`, closed, of MAX_VERTICES at most; holes are not said in CAP."""
    parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
    for part in parts:
        if isinstance(part, Polygon) and not part.is_empty:
            outline, tolerance_deg = part.exterior, 0.0005
            while len(outline.coords) > MAX_VERTICES:
                outline, tolerance_deg = part.exterior.simplify(tolerance_deg), tolerance_deg * 2
            yield " ".join(f"{lat:.5f},{lon:.5f}" for lon, lat, *_ in outline.coords)


def _moment(rfc3339: str, *, later: timedelta = timedelta(0)) -> str:
    """Japanese time with its offset, to the second: CAP has no `Z` (section 3.3.2)."""
    return (datetime.fromisoformat(rfc3339).astimezone(JST) + later).isoformat(timespec="seconds")


def _child(parent: Any, name: str, **attributes: str) -> Any:
    """An element in the namespace of its parent."""
    return etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}", **attributes)


def _add(parent: Any, name: str, value: str) -> None:
    _child(parent, name).text = xml_text(value)


def publish(folder: Path, feed_url: str, name: str, message: bytes, *, author: str) -> None:
    """Put the message into the folder, and write the feed of the newest anew. Whoever reads always sees whole files."""
    _write(folder / f"{name}.xml", message)
    kept = sorted(folder.glob("*.xml"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
    for old in kept[MAX_IN_FOLDER:]:
        old.unlink(missing_ok=True)
    _write(folder / FEED_NAME, _feed(kept[:MAX_IN_FEED], feed_url.rstrip("/"), author=author))


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(content)
    fresh.replace(path)


def _feed(messages: Sequence[Path], url: str, *, author: str) -> bytes:
    """RFC 4287: each entry leads to its message."""
    feed = etree.Element(f"{{{_ATOM}}}feed", nsmap={None: _ATOM})
    entries = [entry for path in messages if (entry := _entry(path, url)) is not None]
    _add(feed, "id", f"{url}/{FEED_NAME}")
    _add(feed, "title", f"{text('ja', 'console.name')} / {text('en', 'console.name')}")
    updated = max((entry.findtext(f"{{{_ATOM}}}updated") for entry in entries), default=None)
    _add(feed, "updated", updated or datetime.fromtimestamp(0, JST).isoformat())
    _add(_child(feed, "author"), "name", author)
    _child(feed, "link", rel="self", href=f"{url}/{FEED_NAME}", type="application/atom+xml")
    feed.extend(entries)
    made: bytes = etree.tostring(feed, encoding="UTF-8", xml_declaration=True)
    return made


def _entry(path: Path, url: str) -> Any:
    """None for a file that is no message of ours."""
    names = {"cap": NAMESPACE}
    try:
        message = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()
        sent = message.findtext("cap:sent", namespaces=names) or ""
        title = message.findtext("cap:info/cap:headline", namespaces=names) or path.stem
    except (OSError, etree.XMLSyntaxError):
        return None
    if not sent:
        return None
    entry = etree.Element(f"{{{_ATOM}}}entry", nsmap={None: _ATOM})
    _add(entry, "id", f"{url}/{path.name}")
    _add(entry, "title", title)
    _add(entry, "updated", sent)
    _child(entry, "link", href=f"{url}/{path.name}", type=MEDIA_TYPE)
    return entry
