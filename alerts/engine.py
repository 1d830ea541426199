"""Runs the rules: restores what each remembers, shows it the new states, and keeps a broken one from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import structlog
from pydantic import ValidationError

from alerts.explain import rule_name
from alerts.ledger import LEDGER, Ending, Ledger
from alerts.registry import UnknownRule, rule_class
from alerts.rule import Memory, Rule, RuleConfig, World
from command.domain.alert import Finding
from command.i18n import LANGUAGES

Entries = Mapping[str, Mapping[str, dict[str, Any]]]

_log = structlog.get_logger(__name__)


class BadRuleConfig(ValueError):
    """A rule's configuration that cannot be used; the text names the rule, the setting and what is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Who configured a rule as it is, for the reason that people read. by None: the settings file."""

    version: int
    by: str | None = None
    why: str = ""


_UNDECIDED: Final = Decision(version=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleHealth:
    """How a rule is doing since the engine was built.

    failures: how often it raised. unread_states: states that it could not judge: each of them failed by itself.
    """

    rule: str
    enabled: bool
    remembered: int
    failures: int = 0
    unread_states: int = 0
    last_error: str = ""
    last_failed_at_us: int | None = None


@dataclass(kw_only=True)
class _Runner:
    """One rule, its memory and its count of failures."""

    name: str
    config: RuleConfig
    make: type[Rule]
    memory: Memory
    decision: Decision = _UNDECIDED
    failures: int = 0
    unread_states: int = 0
    last_error: str = ""
    last_failed_at_us: int | None = None

    def __post_init__(self) -> None:
        self.rule = self.make(self.config, self.memory)
        self.settings = self.config.model_dump(mode="json")

    def ending(self, what: str) -> Ending:
        """Why the rule says no longer what it said. what: `changed`, `off` or `resting`."""
        names = {language: rule_name(self.name, language) for language in LANGUAGES}
        if what == "resting":
            return Ending(because="because.rule.resting", params={"rule": names})
        decided = self.decision
        if decided.by is None:
            return Ending(because=f"because.rule.{what}.settings", params={"rule": names})
        params = {"rule": names, "version": decided.version, "by": decided.by, "why": decided.why}
        return Ending(because=f"because.rule.{what}", params=params)

    def attempt(self, say: Callable[[Rule], list[Finding]], now_us: int) -> list[Finding] | None:
        """What the rule says; None when it raised, and then it remembers nothing of this attempt."""
        self.memory.mark()
        try:
            return say(self.rule)
        except Exception as exc:  # noqa: BLE001 - a rule is a plug-in: whatever it raises, the other rules go on
            self.memory.roll_back()
            self.rule = self.make(self.config, self.memory)
            error = f"{type(exc).__name__}: {exc}"[:500]
            if error != self.last_error:
                _log.exception("rule failed; the other rules go on", rule=self.name, error=error)
            self.failures, self.last_error, self.last_failed_at_us = self.failures + 1, error, now_us
            return None


class RuleEngine:
    """The enabled rules of a realm.

    configs: rule name -> its configuration, as the store has it. memory: rule name -> key -> entry, as the store has
    it. decisions: rule name -> who configured it so. Raises BadRuleConfig for a rule that is not known or a setting
    that is not right.
    """

    def __init__(
        self,
        configs: Mapping[str, Mapping[str, Any]],
        *,
        memory: Entries | None = None,
        decisions: Mapping[str, Decision] | None = None,
    ) -> None:
        remembered, decided = memory or {}, decisions or {}
        self._told = Memory(remembered.get(LEDGER))
        self._ledger = Ledger(self._told)
        self._runners = [
            _runner(name, config, Memory(remembered.get(name)), decided.get(name, _UNDECIDED))
            for name, config in configs.items()
        ]

    def reconfigured(
        self, configs: Mapping[str, Mapping[str, Any]], *, decisions: Mapping[str, Decision] | None = None
    ) -> Self:
        """An engine with other configurations that remembers what this one does. This one is left as it is.

        Take this engine's changes first: they are not handed on. What the changed rules no longer say, they take back
        at the next tick. Raises BadRuleConfig.
        """
        memory = {r.name: dict(r.memory) for r in self._runners} | {LEDGER: dict(self._told)}
        return type(self)(configs, memory=memory, decisions=decisions)

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        """What the rules say about new states: (n,) TRACK_STATE_DTYPE, in any order."""
        if not len(states):
            return []
        ordered = states[np.argsort(states["observed_at_us"], kind="stable")]
        findings: list[Finding] = []
        for runner in self._enabled():
            findings += self._heard(runner, self._evaluate_one(runner, ordered, world))
        return findings

    def tick(self, world: World) -> list[Finding]:
        """What the rules say because time has passed."""
        self._ledger.prune(world.now_us)
        findings: list[Finding] = []
        for runner in self._runners:
            findings += self._tick_one(runner, world) if runner.config.enabled else self._switched_off(runner, world)
        return findings

    def _tick_one(self, runner: _Runner, world: World) -> list[Finding]:
        heard: list[Finding] = []
        before = self._ledger.configured(runner.name)
        if before != runner.settings:
            if before is not None:
                taken_back = runner.attempt(lambda rule: rule.reconsider(world), world.now_us) or []
                heard += [
                    over for each in taken_back for over in self._ledger.take_back(each, runner.ending("changed"))
                ]
            self._ledger.configure(runner.name, runner.settings)
        heard += self._heard(runner, runner.attempt(lambda rule: rule.tick(world), world.now_us) or [])
        if not self._ledger.has_episodes(runner.name):
            return heard
        resting = runner.ending("resting")
        return heard + self._ledger.turn(runner.name, runner.config.schedule, world.now_us, at_rest=resting)

    def _switched_off(self, runner: _Runner, world: World) -> list[Finding]:
        """A rule that is off sees nothing, so it forgets: switched on again, it begins anew."""
        for key in list(runner.memory):
            del runner.memory[key]
        if self._ledger.configured(runner.name) != runner.settings:
            self._ledger.configure(runner.name, runner.settings)
        if not self._ledger.has_episodes(runner.name):
            return []
        return self._ledger.close(runner.name, runner.ending("off"), world.now_us)

    def _heard(self, runner: _Runner, findings: list[Finding]) -> list[Finding]:
        """What of the rule's findings people are told."""
        heard: list[Finding] = []
        for said in findings:
            in_force = runner.config.in_force(said.observed_at_us, said.position)
            heard += self._ledger.take(said, in_force=in_force, at_rest=runner.ending("resting"))
        return heard

    def take_changes(self) -> dict[str, dict[str, dict[str, Any] | None]]:
        """What the rules remember anew since the last call, {rule: {key: entry}}; None marks an entry that is gone."""
        changes = {runner.name: runner.memory.take_changes() for runner in self._runners}
        changes[LEDGER] = self._told.take_changes()
        return {name: changed for name, changed in changes.items() if changed}

    def health(self) -> tuple[RuleHealth, ...]:
        """How each configured rule is doing."""
        return tuple(
            RuleHealth(
                rule=r.name,
                enabled=r.config.enabled,
                remembered=len(r.memory),
                failures=r.failures,
                unread_states=r.unread_states,
                last_error=r.last_error,
                last_failed_at_us=r.last_failed_at_us,
            )
            for r in self._runners
        )

    def _enabled(self) -> list[_Runner]:
        return [runner for runner in self._runners if runner.config.enabled]

    @staticmethod
    def _evaluate_one(runner: _Runner, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        said = runner.attempt(partial(_evaluate, states=states, world=world), world.now_us)
        if said is not None:
            return said
        # One state that a rule cannot read must not hide the others of its flush: show them one by one.
        findings: list[Finding] = []
        for i in range(len(states)):
            row = states[i : i + 1]
            said = runner.attempt(partial(_evaluate, states=row, world=world), world.now_us)
            if said is None:
                runner.unread_states += 1
            else:
                findings += said
        return findings


def _evaluate(rule: Rule, *, states: npt.NDArray[np.void], world: World) -> list[Finding]:
    return rule.evaluate(states, world)


def check_rule_config(name: str, config: Mapping[str, Any]) -> None:
    """Raises BadRuleConfig when `config` cannot be a configuration of the rule `name`."""
    checked_config(name, config)


def checked_config(name: str, config: Mapping[str, Any]) -> RuleConfig:
    """The configuration of the rule `name` with its defaults. Raises BadRuleConfig."""
    try:
        return rule_class(name).Config.model_validate(dict(config))
    except UnknownRule as exc:
        raise BadRuleConfig(str(exc)) from exc
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'config'}: {e['msg']}" for e in exc.errors()[:5])
        raise BadRuleConfig(f"rule {name}: {problems}") from exc


def _runner(name: str, config: Mapping[str, Any], memory: Memory, decision: Decision) -> _Runner:
    checked = checked_config(name, config)
    return _Runner(name=name, config=checked, make=rule_class(name), memory=memory, decision=decision)
