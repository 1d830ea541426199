"""What people do to alerts, as pure functions: each gives the alert after it, or says why it may not be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from command.domain.alert import Alert, Call, Severity
from command.domain.response import TeamResponse

COMMENT_LIMIT: Final = 1_000
REASON_LIMIT: Final = 500
MOST_AT_ONCE: Final = 500
"""How many alerts one act may be about."""


class ActRefused(ValueError):
    """The alert as it stands does not allow it; `key` names a text of triage.refused.*, with its params."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(f"{key} {params}")
        self.key, self.params = key, params


def acknowledged(before: Alert, *, by: str, comment: str, now_us: int) -> Alert:
    """Somebody has seen it. Raises ActRefused where somebody had."""
    if before.acknowledged_at_us is not None:
        raise ActRefused("acknowledged", who=before.acknowledged_by or "", at_us=before.acknowledged_at_us)
    return _next(
        before,
        now_us=now_us,
        acknowledged_at_us=now_us,
        acknowledged_by=by,
        comment=comment,
        waiting_since_us=None,
    )


def assigned(before: Alert, *, to: str, by: str, take_over: bool, now_us: int) -> Alert:
    """It is in the hands of `to`. Raises ActRefused where they have it already, and where somebody else does and
    nobody said take_over: whoever works on it would not notice that it is gone.
    """
    if before.assigned_to == to:
        raise ActRefused("theirs_already", who=to)
    if before.assigned_to is not None and not take_over:
        raise ActRefused("in_hand", who=before.assigned_to, at_us=before.assigned_at_us)
    return _next(before, now_us=now_us, assigned_to=to, assigned_by=by, assigned_at_us=now_us)


def unassigned(before: Alert, *, now_us: int) -> Alert:
    """It is in nobody's hands. Raises ActRefused where it was not."""
    if before.assigned_to is None:
        raise ActRefused("not_assigned")
    return _next(before, now_us=now_us, assigned_to=None, assigned_by=None, assigned_at_us=None)


def escalated(before: Alert, *, by: str, reason: str, now_us: int) -> Alert:
    """One severity higher, and waiting for somebody to look at it again; critical stays critical.

    Raises ActRefused while the escalation before it waits to be acknowledged.
    """
    if before.escalated_at_us is not None and before.acknowledged_at_us is None:
        raise ActRefused("escalated", who=before.escalated_by or "", at_us=before.escalated_at_us)
    return _next(
        before,
        now_us=now_us,
        severity=Severity(min(before.severity + 1, Severity.CRITICAL)),
        rule_severity=before.rule_severity or before.severity,
        escalated_by=by,
        escalated_at_us=now_us,
        escalation_reason=reason,
        acknowledged_at_us=None,
        acknowledged_by=None,
        comment=None,
        waiting_since_us=now_us,
        call=None,
    )


def withdrawn(before: Alert, *, now_us: int) -> Alert:
    """The escalation is taken back: the severity is the rule's again. Raises ActRefused where there is none."""
    if before.rule_severity is None:
        raise ActRefused("not_escalated")
    return _next(
        before,
        now_us=now_us,
        severity=before.rule_severity,
        rule_severity=None,
        escalated_by=None,
        escalated_at_us=None,
        escalation_reason=None,
    )


def called(before: Alert, call: Call | None, *, now_us: int) -> Alert:
    """Somebody of the roster is called about it. Raises ActRefused where nobody is to be called now."""
    if call is None:
        raise ActRefused("not_due")
    return _next(before, now_us=now_us, call=call)


def responded(before: Alert, *, response: TeamResponse, now_us: int) -> Alert:
    """A team stands there from now on. Raises ActRefused where it did."""
    if response in before.responses:
        raise ActRefused("stands_so")
    others = [each for each in before.responses if each.team != response.team]
    return _next(before, now_us=now_us, responses=tuple(sorted((*others, response), key=lambda each: each.team)))


def _next(before: Alert, *, now_us: int, **changed: Any) -> Alert:
    return replace(before, revision=before.revision + 1, recorded_at_us=now_us, **changed)
