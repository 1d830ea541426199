"""What the rules say and people have heard: so that a rule that is changed, switched off or at rest takes it back.

A rule says what it sees; the ledger decides what of it goes out. What a rule says while its schedule rests is held, and
told when the schedule begins if it is still so; what people were told is cleared when the schedule ends. An episode
keeps its identity over that: it opens again and is no new alert.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from alerts.rule import Memory
from alerts.schedule import Schedule
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.geo import Position

LEDGER: Final = "ledger"
"""The name under which its memory is kept beside those of the rules."""

KEPT_US: Final = 31 * 24 * 3_600 * US_PER_S
"""Longer than any rule follows what it no longer hears."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """Why people are told that it is over: the key of a text, and its parameters."""

    because: str
    params: Mapping[str, Any]


class Ledger:
    """The episodes of every rule.

    Memory: `config|<rule>` -> `config`: what the rule was configured by when it last looked. `<rule>|<subject>|<area>|
    <start>` -> the last finding of the episode; `open`: whether the rule still says it; `told`: whether people know
    that it is; `heard`: whether they ever knew. An episode that was taken back is kept for KEPT_US: it may come again.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._open_of: defaultdict[str, set[str]] = defaultdict(set)
        self._held_of: defaultdict[str, set[str]] = defaultdict(set)
        self._taken_back: set[str] = set()
        for key, entry in memory.items():
            if "rule" in entry:
                self._note(key, entry)

    def configured(self, rule: str) -> Mapping[str, Any] | None:
        """What the rule was configured by when it last looked; None where it never did."""
        entry = self._memory.get(f"config|{rule}")
        return None if entry is None else entry["config"]

    def configure(self, rule: str, config: Mapping[str, Any]) -> None:
        self._memory[f"config|{rule}"] = {"config": dict(config)}

    def has_episodes(self, rule: str) -> bool:
        """Whether the rule says anything now, told or held."""
        return bool(self._open_of.get(rule))

    def take(self, said: Finding, *, in_force: bool, at_rest: Ending) -> list[Finding]:
        """What of a finding goes out. at_rest: why people are told that what they know of is over."""
        key = _key(said)
        entry = self._memory.get(key)
        # an episode that began before there was a ledger was told
        told = said.kind is not FindingKind.OPENED if entry is None else entry["told"]
        heard = told if entry is None else entry["heard"]
        if said.kind is FindingKind.CLEARED:
            self._forget(said.rule, key)
            return [said] if told else []
        self._keep(key, _entry(said) | {"open": True, "told": in_force, "heard": heard or in_force})
        if in_force:
            return [said if told else replace(said, kind=FindingKind.REVISED if heard else FindingKind.OPENED)]
        return [_ended(said, at_rest, said.observed_at_us)] if told else []

    def take_back(self, said: Finding, ending: Ending) -> list[Finding]:
        """What goes out of a CLEARED finding that a change of the rule has brought."""
        key = _key(said)
        entry = self._memory.get(key)
        told = entry is None or entry["told"]
        self._keep(key, _entry(said) | {"open": False, "told": False, "heard": entry is None or entry["heard"]})
        return [_ended(said, ending, said.observed_at_us)] if told else []

    def turn(self, rule: str, schedule: Schedule | None, now_us: int, *, at_rest: Ending) -> list[Finding]:
        """What goes out because the schedule has begun, or has ended, where the episodes are."""
        keys = sorted((self._held_of if schedule is None else self._open_of).get(rule, ()))
        if not keys:
            return []
        places = [_place(self._memory[key]) for key in keys]
        in_force = [True] * len(keys) if schedule is None else schedule.holds(now_us, places).tolist()
        out: list[Finding] = []
        for key, holds in zip(keys, in_force, strict=True):
            entry = self._memory[key]
            if holds == entry["told"]:
                continue
            said = _finding(entry)
            self._keep(key, entry | {"told": holds, "heard": True})
            if holds:
                kind = FindingKind.REVISED if entry["heard"] else FindingKind.OPENED
                out.append(replace(said, kind=kind, observed_at_us=max(now_us, said.observed_at_us)))
            else:
                out.append(_ended(said, at_rest, now_us))
        return out

    def close(self, rule: str, ending: Ending, now_us: int) -> list[Finding]:
        """Take all of the rule's episodes back."""
        episodes = [_finding(self._memory[key]) for key in sorted(self._open_of.get(rule, ()))]
        return [over for said in episodes for over in self.take_back(replace(said, observed_at_us=now_us), ending)]

    def prune(self, now_us: int) -> None:
        """Forget what was taken back long ago."""
        for key in [key for key in self._taken_back if now_us - self._memory[key]["at_us"] >= KEPT_US]:
            self._forget(self._memory[key]["rule"], key)

    def _keep(self, key: str, entry: dict[str, Any]) -> None:
        self._memory[key] = entry
        self._note(key, entry)

    def _note(self, key: str, entry: Mapping[str, Any]) -> None:
        of_rule = self._open_of[entry["rule"]]
        (of_rule.add if entry["open"] else of_rule.discard)(key)
        held = self._held_of[entry["rule"]]
        (held.add if entry["open"] and not entry["told"] else held.discard)(key)
        (self._taken_back.discard if entry["open"] else self._taken_back.add)(key)

    def _forget(self, rule: str, key: str) -> None:
        if key in self._memory:
            del self._memory[key]
        self._open_of[rule].discard(key)
        self._held_of[rule].discard(key)
        self._taken_back.discard(key)


def _key(said: Finding) -> str:
    return f"{said.rule}|{said.subject}|{said.area or ''}|{said.episode_start_us}"


def _entry(said: Finding) -> dict[str, Any]:
    position = said.position
    return {
        "rule": said.rule,
        "severity": int(said.severity),
        "subject": said.subject,
        "area": said.area,
        "start_us": said.episode_start_us,
        "at_us": said.observed_at_us,
        "place": None if position is None else [position.lon, position.lat],
        "because": said.because,
        "params": dict(said.because_params),
        "evidence": [each.hex() for each in said.evidence],
        "track": None if said.track_id is None else said.track_id.hex,
    }


def _ended(said: Finding, ending: Ending, at_us: int) -> Finding:
    named = {name: said.because_params[name] for name in ("subject", "area", "who") if name in said.because_params}
    return replace(
        said,
        kind=FindingKind.CLEARED,
        observed_at_us=max(at_us, said.observed_at_us),
        because=ending.because,
        because_params={**named, **ending.params},
        evidence=(),
    )


def _place(entry: Mapping[str, Any]) -> Position | None:
    place = entry["place"]
    return None if place is None else Position(lon=place[0], lat=place[1])


def _finding(entry: Mapping[str, Any]) -> Finding:
    return Finding(
        kind=FindingKind.REVISED,
        rule=entry["rule"],
        severity=Severity(entry["severity"]),
        subject=entry["subject"],
        area=entry["area"],
        episode_start_us=entry["start_us"],
        observed_at_us=entry["at_us"],
        position=_place(entry),
        because=entry["because"],
        because_params=entry["params"],
        evidence=tuple(bytes.fromhex(each) for each in entry["evidence"]),
        track_id=None if entry["track"] is None else uuid.UUID(hex=entry["track"]),
    )
