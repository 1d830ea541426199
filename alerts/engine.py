"""Runs the rules: restores what each remembers, shows it the new states, and keeps a broken one from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import structlog
from pydantic import ValidationError

from alerts.registry import UnknownRule, rule_class
from alerts.rule import Memory, Rule, RuleConfig, World
from command.domain.alert import Finding

Entries = Mapping[str, Mapping[str, dict[str, Any]]]

_log = structlog.get_logger(__name__)


class BadRuleConfig(ValueError):
    """A rule's configuration that cannot be used; the text names the rule, the setting and what is wrong with it."""


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
    failures: int = 0
    unread_states: int = 0
    last_error: str = ""
    last_failed_at_us: int | None = None

    def __post_init__(self) -> None:
        self.rule = self.make(self.config, self.memory)

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
    it. Raises BadRuleConfig for a rule that is not known or a setting that is not right.
    """

    def __init__(self, configs: Mapping[str, Mapping[str, Any]], *, memory: Entries | None = None) -> None:
        remembered = memory or {}
        self._runners = [_runner(name, config, Memory(remembered.get(name))) for name, config in configs.items()]

    def reconfigured(self, configs: Mapping[str, Mapping[str, Any]]) -> Self:
        """An engine with other configurations that remembers what this one does. This one is left as it is.

        Take this engine's changes first: they are not handed on. Raises BadRuleConfig.
        """
        return type(self)(configs, memory={r.name: dict(r.memory) for r in self._runners})

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        """What the rules say about new states: (n,) TRACK_STATE_DTYPE, in any order."""
        if not len(states):
            return []
        ordered = states[np.argsort(states["observed_at_us"], kind="stable")]
        findings: list[Finding] = []
        for runner in self._enabled():
            findings += self._evaluate_one(runner, ordered, world)
        return findings

    def tick(self, world: World) -> list[Finding]:
        """What the rules say because time has passed."""
        findings: list[Finding] = []
        for runner in self._enabled():
            findings += runner.attempt(lambda rule: rule.tick(world), world.now_us) or []
        return findings

    def take_changes(self) -> dict[str, dict[str, dict[str, Any] | None]]:
        """What the rules remember anew since the last call, {rule: {key: entry}}; None marks an entry that is gone."""
        changes = {runner.name: runner.memory.take_changes() for runner in self._runners}
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
    _runner(name, config, Memory())


def _runner(name: str, config: Mapping[str, Any], memory: Memory) -> _Runner:
    try:
        cls = rule_class(name)
        checked = cls.Config.model_validate(dict(config))
    except UnknownRule as exc:
        raise BadRuleConfig(str(exc)) from exc
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'config'}: {e['msg']}" for e in exc.errors()[:5])
        raise BadRuleConfig(f"rule {name}: {problems}") from exc
    return _Runner(name=name, config=checked, make=cls, memory=memory)
