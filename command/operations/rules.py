"""Rules: what people with the right do to thresholds, areas, schedules and severities. Every change is a version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.explain import rule_name
from alerts.registry import MAX_RULE_NAME, UnknownRule, kind_of, rule_class
from alerts.rule import RuleConfig, SettingsDisagree
from alerts.setting_words import Names, differences, setting_name, setting_value
from command.domain.clock import Clock
from command.domain.realm import Realm
from command.i18n import text, texts
from command.operations.people import Permission, Person
from command.store.areas import latest_areas
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.jsonb import json_text
from command.store.rules import (
    RuleVersion,
    current_rules,
    hold_rules,
    put_rule,
    rule_version,
    rule_versions,
    rules_of_settings,
)

__all__ = ["BadSetting", "KnownRule", "RuleBook", "RuleChanged", "RuleRefused", "RuleVersion", "UnknownRuleName"]

VERSION_LIMIT: Final = 200
REASON_LIMIT: Final = 200
OWN_RULES_LIMIT: Final = 50
_LIMITS: Final = ("gt", "ge", "lt", "le", "min_length", "max_length")


class RuleRefused(ValueError):
    """A change to a rule that cannot be made. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason, self.params = reason, params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"rules.refused.{self.reason}", **self.params)


class UnknownRuleName(RuleRefused):
    """There is no rule, or no version of it, of this name."""


class RuleChanged(RuleRefused):
    """Somebody else changed the rule meanwhile: nothing was done. `current` is what holds now."""

    def __init__(self, current: RuleVersion) -> None:
        self.current = current
        super().__init__("changed", version=current.version, who=current.author)


class BadSetting(RuleRefused):
    """Settings that cannot be used: `errors` are pydantic's."""

    def __init__(self, rule: str, areas: Names, error: ValidationError) -> None:
        self._rule, self._areas = rule, areas
        self.errors = error.errors(include_url=False)[:20]
        super().__init__("bad_setting")

    def explain(self, language: str) -> str:
        return " ".join(f"{name}: {what}" if name else what for _, name, what in self.told(language))

    def told(self, language: str) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Each error: where it is, what people call that setting ("" where it is about several), what to write."""
        return [
            (loc, setting_name(self._rule, loc, language, self._areas), self._what(error, loc, language))
            for error, loc in ((e, _place(e["loc"])) for e in self.errors)
        ]

    def _what(self, error: Mapping[str, Any], loc: tuple[str | int, ...], language: str) -> str:
        context = error.get("ctx") or {}
        if isinstance(disagree := context.get("error"), SettingsDisagree):
            return disagree.explain(language)
        for limit in _LIMITS:
            if limit in context and (key := f"rules.wrong.{error['type']}") in texts(language):
                counted = limit.endswith("length")
                said = str(context[limit]) if counted else setting_value(loc, context[limit], language, self._areas)
                return text(language, key, limit=said)
        key = f"rules.wrong.{error['type']}"
        return text(language, key if key in texts(language) else "rules.wrong.otherwise", what=error["msg"])


@dataclass(frozen=True, kw_only=True)
class KnownRule:
    """A rule as it stands. config is None where what is stored cannot be used by this release.

    of_settings: what the settings file says where a person decided otherwise; None where both say the same.
    """

    version: RuleVersion
    config: RuleConfig | None
    of_settings: RuleConfig | None = None

    @property
    def name(self) -> str:
        return self.version.rule

    def title(self, language: str) -> str:
        """What people call it: a rule of their own by the name that they gave it."""
        own = getattr(self.config, f"name_{language}", None)
        return rule_name(self.name, language) if own is None else str(own)


class RuleBook:
    """The rules of one realm. Every method may raise StoreUnavailable; each change is audited in its transaction.

    A change names the version that the person saw and is refused with RuleChanged where another holds by now. person:
    whose rights count; None at the terminal of the machine, where `by` says who it is.
    """

    def __init__(self, engine: Engine, realm: Realm, *, clock: Clock) -> None:
        self._engine = engine
        self._realm = realm
        self._clock = clock

    def everything(self) -> list[KnownRule]:
        """Every rule as it stands, by name."""
        with realm_session(self._engine, self._realm) as session:
            wanted = rules_of_settings(session)
            return [_known(version, wanted) for version in current_rules(session)]

    def area_names(self) -> Names:
        """What people call the areas, those that are retired too."""
        with realm_session(self._engine, self._realm) as session:
            return _area_names(session)

    def one(self, rule: str, *, version: int | None = None) -> KnownRule:
        """A version of a rule, None for the one that holds. Raises UnknownRuleName."""
        with realm_session(self._engine, self._realm) as session:
            if version is None:
                return _known(_newest(session, rule), rules_of_settings(session))
            return _known(_version(session, rule, version), {})

    def versions(self, rule: str) -> list[RuleVersion]:
        """The newest VERSION_LIMIT versions of a rule, newest first. Raises UnknownRuleName."""
        with realm_session(self._engine, self._realm) as session:
            found = rule_versions(session, rule, limit=VERSION_LIMIT)
        if not found:
            raise UnknownRuleName("unknown", rule=rule)
        return found

    def changes(self, versions: Sequence[RuleVersion], language: str) -> list[list[str]]:
        """What each of a rule's versions, newest first, changed of the one before it, a sentence a setting."""
        areas = self.area_names()
        configs = [usable_config(version.rule, version.config) for version in versions]
        return [
            [] if old is None or new is None else differences(version.rule, old, new, language, areas)
            for version, new, old in zip(versions, configs, [*configs[1:], None], strict=True)
        ]

    def change(self, rule: str, config: Mapping[str, Any], *, reason: str, based_on: int, person: Person) -> KnownRule:
        """Make these the rule's settings from now on; what is left out has its default.

        Raises Forbidden, UnknownRuleName, RuleChanged, BadSetting, RuleRefused.
        """
        person.must(Permission.EDIT_RULES)
        with realm_session(self._engine, self._realm) as session:
            _held(session, rule, based_on=based_on)
            checked = _checked(session, rule, config)
            return self._put(session, rule, checked, by=person.user.login, reason=reason, action="rule.changed")

    def create(self, rule: str, config: Mapping[str, Any], *, reason: str, person: Person) -> KnownRule:
        """A rule of a kind that people make, `conditions_<name>`. Raises Forbidden, BadSetting, RuleRefused."""
        person.must(Permission.EDIT_RULES)
        if kind_of(rule) is None:
            raise RuleRefused("name", limit=MAX_RULE_NAME - len("conditions_"))
        with realm_session(self._engine, self._realm) as session:
            hold_rules(session)
            known = [version.rule for version in current_rules(session)]
            if rule in known:
                raise RuleRefused("exists", rule=rule)
            if sum(kind_of(each) is not None for each in known) >= OWN_RULES_LIMIT:
                raise RuleRefused("too_many", most=OWN_RULES_LIMIT)
            checked = _checked(session, rule, config)
            return self._put(session, rule, checked, by=person.user.login, reason=reason, action="rule.created")

    def undo(
        self,
        rule: str,
        version: int,
        *,
        reason: str,
        based_on: int | None = None,
        person: Person | None = None,
        by: str = "",
    ) -> KnownRule:
        """Make an older version hold again, as a new one. based_on None: whatever holds now. Raises as `change`."""
        if person is not None:
            person.must(Permission.EDIT_RULES)
            by = person.user.login
        with realm_session(self._engine, self._realm) as session:
            held = _held(session, rule, based_on=based_on)
            if version >= held.version:
                raise RuleRefused("not_older", version=version, newest=held.version)
            found = _version(session, rule, version)
            checked = _checked(session, rule, found.config)
            return self._put(session, rule, checked, by=by, reason=reason, action="rule.undone", restores=version)

    def follow_settings(self, rule: str, *, reason: str, based_on: int, person: Person) -> KnownRule:
        """Take what the settings file says, now and from now on. Raises as `change`."""
        person.must(Permission.EDIT_RULES)
        with realm_session(self._engine, self._realm) as session:
            _held(session, rule, based_on=based_on)
            wanted = rules_of_settings(session).get(rule)
            if wanted is None:
                raise RuleRefused("not_in_settings", rule=rule)
            checked = _checked(session, rule, wanted)
            return self._put(
                session, rule, checked, by=person.user.login, reason=reason, action="rule.follows", by_person=False
            )

    def _put(
        self,
        session: Session,
        rule: str,
        config: RuleConfig,
        *,
        by: str,
        reason: str,
        action: str,
        restores: int | None = None,
        by_person: bool = True,
    ) -> KnownRule:
        reason = _clean(reason)
        now_us = self._clock.now_us()
        held = rule_versions(session, rule, limit=1)
        put = put_rule(session, rule, sparse(config), by, now_us, by_person=by_person, reason=reason, restores=restores)
        if not held or held[0].version != put.version:
            detail = {"realm": self._realm.name, "version": put.version, "reason": reason, "config": dict(put.config)}
            if restores is not None:
                detail["restores"] = restores
            append_audit(session, actor=by, action=action, target=rule, detail=detail, now_us=now_us)
        return _known(put, rules_of_settings(session))


def _place(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where an error is, as the settings nest: pydantic puts the kind of a condition after its number."""
    return tuple(
        part
        for i, part in enumerate(loc)
        if not (i and isinstance(loc[i - 1], int) and i + 1 < len(loc) and loc[i - 2] == "conditions")
    )


def usable_config(rule: str, config: Mapping[str, Any]) -> RuleConfig | None:
    """The configuration with its defaults; None where this release cannot use it."""
    try:
        return rule_class(rule).Config.model_validate(dict(config))
    except (UnknownRule, ValidationError):
        return None


def sparse(config: RuleConfig) -> dict[str, Any]:
    """What of a configuration is not a default, as JSON: a later release's better default holds for the rest."""
    fields = type(config).model_fields
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    return {k: v for k, v in config.model_dump(mode="json").items() if getattr(config, k) != defaults[k]}


def _checked(session: Session, rule: str, config: Mapping[str, Any]) -> RuleConfig:
    try:
        # as it will be kept: without what the store cannot hold
        return rule_class(rule).Config.model_validate(json.loads(json_text(dict(config))))
    except UnknownRule as exc:
        raise UnknownRuleName("unknown", rule=rule) from exc
    except ValidationError as exc:
        raise BadSetting(rule, _area_names(session), exc) from exc


def _clean(reason: str) -> str:
    said = " ".join(reason.split())
    if not said or len(said) > REASON_LIMIT or not said.isprintable():
        raise RuleRefused("reason", limit=REASON_LIMIT)
    return said


def _known(version: RuleVersion, wanted: Mapping[str, Mapping[str, Any]]) -> KnownRule:
    config = usable_config(version.rule, version.config)
    other = wanted.get(version.rule)
    of_settings = None if other is None or not version.by_person else usable_config(version.rule, other)
    return KnownRule(version=version, config=config, of_settings=None if of_settings == config else of_settings)


def _newest(session: Session, rule: str) -> RuleVersion:
    found = rule_versions(session, rule, limit=1)
    if not found:
        raise UnknownRuleName("unknown", rule=rule)
    return found[0]


def _version(session: Session, rule: str, version: int) -> RuleVersion:
    found = rule_version(session, rule, version)
    if found is None:
        raise UnknownRuleName("unknown_version", rule=rule, version=version)
    return found


def _held(session: Session, rule: str, *, based_on: int | None) -> RuleVersion:
    """The version that holds, which nobody changes until this transaction ends."""
    hold_rules(session)
    current = _newest(session, rule)
    if based_on is not None and current.version != based_on:
        raise RuleChanged(current)
    return current


def _area_names(session: Session) -> Names:
    return {area.slug: {"ja": area.name_ja, "en": area.name_en} for area in latest_areas(session)}
