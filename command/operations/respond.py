"""A responder's client: prints the alerts of one team, once each, and never lets silence pass for safety."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Final, TextIO

from alerts.message import ALERT, HEARTBEAT, DispatchState, InvalidMessage, UnknownKind, decode_known
from command.bus import Consumer, Message, Team, heartbeat_queue, team_queue
from command.domain.alert import Severity
from command.domain.realm import Realm
from command.i18n import text, texts
from command.operations.responder_line import alert_line, clean, is_repeat, member_lines, revisions_told
from command.operations.responder_memory import ShownAlerts

HEARTBEAT_LATE_S: Final = 25.0
"""Two heartbeats of dispatch (10 s apart) and half of a third did not come."""
WARN_AGAIN_S: Final = 60.0
_CONNECT_PATIENCE_S: Final = 3.0
_PREFETCH: Final = 20
_LOOK_S: Final = 0.5


class Pulse:
    """Whether the heartbeat is there. Times are monotonic seconds; `check` says each thing once."""

    def __init__(self, *, late_s: float, warn_again_s: float, now_s: float) -> None:
        self._late_s, self._warn_again_s = late_s, warn_again_s
        self._heard_at_s = now_s
        self._warned_at_s: float | None = None

    def hear(self, now_s: float) -> float | None:
        """A heartbeat came. How long it was away, where that was warned of."""
        away_s = now_s - self._heard_at_s if self._warned_at_s is not None else None
        self._heard_at_s, self._warned_at_s = now_s, None
        return away_s

    def rest(self, now_s: float) -> None:
        """No heartbeat is expected here now."""
        self._heard_at_s, self._warned_at_s = now_s, None

    def check(self, now_s: float) -> float | None:
        """How long it has been away, where it is time to warn (again); else None."""
        away_s = now_s - self._heard_at_s
        due = away_s >= self._late_s and (self._warned_at_s is None or now_s - self._warned_at_s >= self._warn_again_s)
        if not due:
            return None
        self._warned_at_s = now_s
        return away_s


class Printer:
    """Lines for people in their language, or one JSON object a line for programs."""

    def __init__(self, out: TextIO, *, language: str, as_json: bool) -> None:
        self._out, self._language, self._as_json = out, language, as_json

    def alert(self, body: Mapping[str, Any]) -> None:
        if self._as_json:
            self._write(json.dumps(body, separators=(",", ":")))
            return
        for line in (alert_line(body, self._language), *member_lines(body, self._language)):
            self._write(line)

    def notice(self, key: str, *, loud: bool = False, **params: Any) -> None:
        """A word about the client itself: text `respond.<key>`, or in JSON {"notice": key, ...params}."""
        if self._as_json:
            self._write(json.dumps({"notice": key, **params}))
            return
        line = clean(text(self._language, f"respond.{key}", **params))
        self._write(f"\a{line}" if loud and self._out.isatty() else line)

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


def run(
    *,
    amqp_url: str,
    realm: Realm,
    team: str,
    language: str,
    out: TextIO,
    stop: threading.Event,
    as_json: bool = False,
    count: int | None = None,
    shown_file: Path | None = None,
    heartbeat_late_s: float = HEARTBEAT_LATE_S,
    warn_again_s: float = WARN_AGAIN_S,
    monotonic_s: Callable[[], float] = monotonic,
) -> int:
    """Print the team's alerts until `stop` is set or `count` were printed; how many were printed.

    Critical ones first; a message is acknowledged after it was printed. `shown_file` keeps what was printed, so
    that a restart does not print it again. One client a team receives; another stands by and takes over.
    Raises ValueError for a team or a language that cannot be.
    """
    Team(name=team)
    texts(language)
    printer = Printer(out, language=language, as_json=as_json)
    shown = ShownAlerts(shown_file)
    queues = [heartbeat_queue(team), *(team_queue(team, severity) for severity in sorted(Severity, reverse=True))]
    with (
        Consumer(
            amqp_url, realm.vhost, queues, prefetch=_PREFETCH, name=f"mizugiwa responder {team}", exclusive=True
        ) as consumer,
        shown,
    ):
        session = _Session(
            printer,
            shown,
            consumer,
            Pulse(late_s=heartbeat_late_s, warn_again_s=warn_again_s, now_s=monotonic_s()),
            team=team,
            realm=realm,
            monotonic_s=monotonic_s,
        )
        while not stop.is_set() and (count is None or session.printed < count):
            session.step()
        return session.printed


class _Session:
    """One run of the client."""

    def __init__(
        self,
        printer: Printer,
        shown: ShownAlerts,
        consumer: Consumer,
        pulse: Pulse,
        *,
        team: str,
        realm: Realm,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._printer, self._shown, self._consumer, self._pulse = printer, shown, consumer, pulse
        self._team, self._realm, self._monotonic_s = team, realm, monotonic_s
        self._heartbeat_queue = heartbeat_queue(team)
        self._state = DispatchState.RUNNING
        self._was_connected = False
        self._apart_since_s = monotonic_s()
        self._told_trouble: str | None = None
        self._told_problem: str | None = None
        self.printed = 0

    def step(self) -> None:
        self._tell_connection()
        if self._shown.problem != self._told_problem:
            self._told_problem = self._shown.problem
            self._printer.notice("seen_unusable", problem=self._told_problem)
        message = self._consumer.get(_LOOK_S)
        if message is not None:
            self._take(message)
        if self._consumer.standing_by:
            self._pulse.rest(self._monotonic_s())
        away_s = self._pulse.check(self._monotonic_s())
        if away_s is not None:
            self._printer.notice(
                "heartbeat_lost", loud=True, seconds=round(away_s), trouble=self._consumer.trouble or ""
            )

    def _tell_connection(self) -> None:
        now_s = self._monotonic_s()
        if self._consumer.connected:
            if not self._was_connected or self._told_trouble is not None:
                self._printer.notice("listening", team=self._team, realm=self._realm.name)
            self._was_connected, self._told_trouble, self._apart_since_s = True, None, now_s
        elif now_s - self._apart_since_s > _CONNECT_PATIENCE_S:
            trouble = self._consumer.trouble
            if trouble is not None and trouble != self._told_trouble:
                self._printer.notice("not_connected", loud=True, trouble=trouble)
                self._told_trouble = trouble

    def _take(self, message: Message) -> None:
        kind = HEARTBEAT if message.queue == self._heartbeat_queue else ALERT
        try:
            body = decode_known(message.body, kind=kind)
        except UnknownKind as exc:
            self._printer.notice("unknown", schema=exc.body["schema"], body=json.dumps(exc.body, ensure_ascii=False))
            message.ack()
            return
        except InvalidMessage as exc:
            message.reject()
            self._printer.notice("unreadable", problem=str(exc))
            return
        if kind == HEARTBEAT:
            self._hear(body)
        elif any(self._shown.is_new(*told) for told in revisions_told(body)) or is_repeat(body):
            self._printer.alert(body)
            for told in revisions_told(body):
                self._shown.remember(*told)
            self.printed += 1
        message.ack()

    def _hear(self, body: Mapping[str, Any]) -> None:
        away_s = self._pulse.hear(self._monotonic_s())
        if away_s is not None:
            self._printer.notice("heartbeat_back", loud=True, seconds=round(away_s))
        state = DispatchState(body["state"])
        if state is not self._state:
            self._printer.notice(f"state.{state.value}", loud=True)
            self._state = state
