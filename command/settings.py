"""Settings: read once, from a TOML file and the environment, and passed on as values."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from command.bus.broker import connection_parameters as broker_parameters
from command.domain.alert import Severity
from command.domain.clock import US_PER_S
from command.domain.escalation import EscalationRules
from command.domain.observation import SubjectKind
from command.domain.online_map import OnlineMap
from command.domain.people import Role
from command.store.areas import is_slug
from command.store.engine import connection_parameters as store_parameters

_SLUG: Final = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"
_SUBJECT: Final = r"^(mmsi|mavlink|label):[0-9a-z]+$"
FILE_NAME: Final = "mizugiwa.toml"
ASSET_KINDS: Final = ("VESSEL", "AIR_DRONE", "UNDERWATER_DRONE", "SURFACE_DRONE", "AIRCRAFT")


_ADVICE: Final = {
    "extra_forbidden": "no such setting here; docs/settings.md, docs/sources.md and docs/alerts.md list them",
    "missing": "is missing; write it, docs/settings.md and docs/sources.md say how",
    "tuple_type": 'write a list, as in ["a", "b"], or one [[table]] for each',
    "dict_type": "write a table, as in [[sources]] or [rules.NAME]",
    "model_type": "write a table, as in [web] or [[teams]]",
}
"""By pydantic's name of an error, what to write instead, where its own words do not say so."""
_PATTERNS: Final = {
    _SLUG: "write small letters, digits and hyphens, at most 40, no hyphen at an end",
    _SUBJECT: "write it as the track drawer shows it, for example mmsi:431000001",
}


class BadSettings(ValueError):
    """A setting that cannot be used; the text is one line that says what to write instead."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnlineMapSettings(_Part):
    """Tiles of another server, drawn over the offline map. Not set, the console asks no other machine for anything."""

    url: str = Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+/[\x21\x23-\x26\x28-\x3a\x3c-\x7e]+$", max_length=500)
    attribution: str = Field(min_length=1, max_length=200)
    max_zoom: int = Field(default=18, ge=1, le=22)
    tile_pixels: Literal[256, 512] = 256

    @field_validator("url")
    @classmethod
    def _of_a_tile(cls, url: str) -> str:
        if not all(blank in url for blank in ("{z}", "{x}", "{y}")):
            raise ValueError("write {z}, {x} and {y} where the tile's zoom, column and row belong")
        if url.startswith("http:") and urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("write https; http is for this machine only")
        return url

    def value(self) -> OnlineMap:
        return OnlineMap(**self.model_dump())


class WebSettings(_Part):
    """Where the console listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=8050, ge=1, le=65535)
    tls_certificate: Path | None = None
    """PEM chain; with tls_key the console speaks TLS."""
    tls_key: Path | None = None
    session_hours: float = Field(default=12.0, gt=0, le=72)
    requests_per_s: float = Field(default=50.0, ge=1, le=10_000)
    requests_burst: int = Field(default=1_000, ge=100, le=1_000_000)
    online_map: OnlineMapSettings | None = None

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("set both tls_certificate and tls_key, or neither")
        for path in (self.tls_certificate, self.tls_key):
            if path is not None and not path.is_file():
                raise ValueError(f"{path} is not a file")
        if self.host not in ("127.0.0.1", "::1", "localhost") and self.tls_key is None:
            raise ValueError(
                f"host {self.host!r} can be reached from other machines: "
                "set tls_certificate and tls_key, or write 127.0.0.1"
            )
        return self


class OpenIdSettings(_Part):
    """The authority's identity provider, where people sign in instead of with a password here."""

    issuer: str = Field(pattern=r"^https?://[^\s?#]+$", max_length=255)
    client_id: str = Field(min_length=1, max_length=255)
    client_secret_file: Path | None = None
    """Or MIZUGIWA_OPENID_SECRET; with neither we are a public client, which PKCE alone proves."""
    public_url: str = Field(pattern=r"^https?://[^\s/?#]+$")
    """How browsers reach this console; the provider sends them back there."""
    name_ja: str = Field(min_length=1, max_length=60)
    name_en: str = Field(min_length=1, max_length=60)
    scope: str = Field(default="openid profile", pattern=r"^openid( [\x21-\x7e]+)*$")
    ca_certificate: Path | None = None
    login_claim: str = "preferred_username"
    name_claim: str = "name"
    roles_claim: str = "groups"
    roles: dict[str, tuple[Role, ...]]
    areas_claim: str | None = None
    areas: dict[str, tuple[str, ...]] = {}

    @field_validator("issuer", "public_url")
    @classmethod
    def _private(cls, url: str) -> str:
        host = urlsplit(url).hostname
        if url.startswith("http:") and host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("write https; http is for this machine only")
        return url

    @field_validator("client_secret_file", "ca_certificate")
    @classmethod
    def _there(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(f"{path} is not a file")
        return path

    @field_validator("areas")
    @classmethod
    def _slugs(cls, areas: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        wrong = sorted({slug for slugs in areas.values() for slug in slugs if slug != "*" and not is_slug(slug)})
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no area's slug; write slugs of areas, or * for the whole coast")
        return areas

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        if not self.roles:
            raise ValueError("nobody would have a role; write [people.openid.roles] with the values of the claim")
        if (self.areas_claim is None) == bool(self.areas):
            raise ValueError("set both areas_claim and [people.openid.areas], or neither")
        return self

    def client_secret(self) -> str | None:
        """From the environment, or else from the file. Raises BadSettings."""
        return read_secret(self.client_secret_file, variable="MIZUGIWA_OPENID_SECRET")


def read_secret(file: Path | None, *, variable: str) -> str | None:
    """A secret from the environment, or else from a file that only this account can read. Raises BadSettings."""
    if given := os.environ.get(variable):
        return given
    if file is None:
        return None
    try:
        if file.stat().st_mode & 0o077:
            raise BadSettings(f"{file} can be read by other accounts; run: chmod 600 {file}")
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSettings(f"{file} cannot be read; let this account read it") from exc


class PeopleSettings(_Part):
    """What is asked of people before they may do anything."""

    second_factor_roles: tuple[Role, ...] = ()
    """Who has one of these roles must give a one-time code at every sign-in."""
    token_days: int = Field(default=90, ge=1, le=366)
    """The longest that an API token lives."""
    openid: OpenIdSettings | None = None


class TeamSettings(_Part):
    """A responders' team and the alerts that it is bound to. `*` stands for all."""

    name: str = Field(pattern=_SLUG)
    severities: tuple[str, ...] = ("critical", "high", "medium", "low")
    areas: tuple[str, ...] = ("*",)
    rules: tuple[str, ...] = ("*",)

    @field_validator("severities")
    @classmethod
    def _words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(Severity.from_word(word).word for word in words)


class EscalationSettings(_Part):
    """How long an alert waits for somebody to acknowledge it before the next of the roster is called; 0: for ever."""

    critical_minutes: float = Field(default=3, ge=0, le=1_440)
    high_minutes: float = Field(default=10, ge=0, le=1_440)
    medium_minutes: float = Field(default=60, ge=0, le=1_440)
    low_minutes: float = Field(default=0, ge=0, le=1_440)
    skills: dict[str, Annotated[str, Field(pattern=_SLUG)]] = dict(EscalationRules().skills)
    """By rule, the skill that its alerts ask for."""

    @model_validator(mode="after")
    def _calls_about_critical(self) -> Self:
        if not self.critical_minutes:
            raise ValueError("a critical alert that nobody sees must call somebody; write critical_minutes above 0")
        return self

    def value(self) -> EscalationRules:
        waits = {severity: getattr(self, f"{severity.word}_minutes") for severity in Severity}
        within_us = {severity: int(minutes * 60 * US_PER_S) for severity, minutes in waits.items() if minutes}
        return EscalationRules(within_us=within_us, skills=self.skills)


class AssetSettings(_Part):
    """A vehicle or vessel of ours: never alarmed on as a contact."""

    subject: str = Field(pattern=_SUBJECT)
    kind: str
    """vessel, air_drone, underwater_drone, surface_drone or aircraft."""
    name_ja: str
    name_en: str

    @field_validator("kind")
    @classmethod
    def _known(cls, word: str) -> str:
        asset_kind(word)
        return word


def asset_kind(word: str) -> SubjectKind:
    """The kind of an asset by its word in small letters. Raises ValueError with the words there are."""
    if word.upper() not in ASSET_KINDS:
        raise ValueError(f"write one of {', '.join(kind.lower() for kind in ASSET_KINDS)}")
    return SubjectKind[word.upper()]


class Settings(_Part):
    """Everything that can be set. `sources`, `channels` and `rules` are checked by their own Configs."""

    data_dir: Path
    keys_dir: Path
    audit_dir: Path
    database_url: str | None = None
    amqp_url: str | None = None
    amqp_management_url: str | None = None
    language: str = "ja"
    gateway: str = Field(default="local", pattern=_SLUG)
    web: WebSettings = WebSettings()
    people: PeopleSettings = PeopleSettings()
    teams: tuple[TeamSettings, ...] = (TeamSettings(name="duty"),)
    escalation: EscalationSettings = EscalationSettings()
    channels: tuple[dict[str, Any], ...] = ()
    alerts_policy: Path | None = None
    """Routes, groups, inhibitions and quiet hours of alerts (docs/alerts.md); None for those of the program."""
    sources: tuple[dict[str, Any], ...] = ()
    rules: dict[str, dict[str, Any]] = {}
    assets: tuple[AssetSettings, ...] = ()

    @field_validator("language")
    @classmethod
    def _known(cls, language: str) -> str:
        if language not in ("ja", "en"):
            raise ValueError("write ja or en")
        return language

    @field_validator("database_url")
    @classmethod
    def _readable_database(cls, url: str | None) -> str | None:
        if url is not None:
            store_parameters(url)
        return url

    @field_validator("amqp_url")
    @classmethod
    def _readable_broker(cls, url: str | None) -> str | None:
        if url is not None:
            broker_parameters(url, "/", name="")
        return url

    @field_validator("teams")
    @classmethod
    def _told(cls, teams: tuple[TeamSettings, ...]) -> tuple[TeamSettings, ...]:
        names = [team.name for team in teams]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two teams are called {', '.join(twice)}; give each its own name")
        if not teams:
            raise ValueError("nobody would get an alert; write at least one [[teams]], or leave it out")
        return teams

    @field_validator("sources")
    @classmethod
    def _named(cls, sources: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        names = [source.get("name") for source in sources]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are called {', '.join(twice)}; give each its own name")
        return sources


def default_data_dir() -> Path:
    """Root's data where the servers' account reaches it, a person's in their home (XDG base directories)."""
    if os.geteuid() == 0:
        return Path("/var/lib/mizugiwa")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "mizugiwa"


def load_settings(path: Path | None = None) -> Settings:
    """The settings of `path`, of MIZUGIWA_CONFIG, of ./mizugiwa.toml, or the defaults; the environment goes before.

    Environment: MIZUGIWA_DATA_DIR, MIZUGIWA_WEB_PORT, MIZUGIWA_LANGUAGE, DATABASE_URL, AMQP_URL, AMQP_MANAGEMENT_URL.
    Raises BadSettings.
    """
    named = path or (Path(os.environ["MIZUGIWA_CONFIG"]) if os.environ.get("MIZUGIWA_CONFIG") else None)
    file = named or Path(FILE_NAME)
    content: dict[str, Any] = {}
    if file.is_file():
        try:
            content = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise BadSettings(f"{file} is not TOML: {exc}") from exc
        except OSError as exc:
            raise BadSettings(f"{file} cannot be read ({exc.strerror}); let this account read it") from exc
    elif named is not None:
        raise BadSettings(f"{file} is not there; name an existing settings file, or none")
    content.setdefault("data_dir", str(default_data_dir()))
    for name, key in (
        ("MIZUGIWA_DATA_DIR", "data_dir"),
        ("MIZUGIWA_LANGUAGE", "language"),
        ("DATABASE_URL", "database_url"),
        ("AMQP_URL", "amqp_url"),
        ("AMQP_MANAGEMENT_URL", "amqp_management_url"),
    ):
        if os.environ.get(name):
            content[key] = os.environ[name]
    for key, folder in (("keys_dir", "keys"), ("audit_dir", "audit")):
        content.setdefault(key, f"{content['data_dir']}/{folder}")
    if os.environ.get("MIZUGIWA_WEB_PORT") and isinstance(content.setdefault("web", {}), dict):
        content["web"]["port"] = os.environ["MIZUGIWA_WEB_PORT"]
    try:
        settings = Settings.model_validate(content)
    except ValidationError as exc:
        raise BadSettings(f"{file}: {one_line(exc)}") from exc
    folders = {name: getattr(settings, name).expanduser().resolve() for name in ("data_dir", "keys_dir", "audit_dir")}
    return settings.model_copy(update=folders)


def one_line(error: ValidationError) -> str:
    """The first thing that is wrong, as `where: what (found ...)`; never a whole secret-bearing input."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "settings"
    what = _ADVICE.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        what = _PATTERNS.get(first["ctx"]["pattern"], what)
    found = first.get("input")
    shown = f" (found {found!r})" if isinstance(found, (str, int, float)) and "url" not in where else ""
    return f"{where}: {what}{shown}"
