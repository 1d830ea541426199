"""The terminal client's watch: one thread takes alerts, heartbeats and replies, and sends what waits to be sent.

Screens read `look` and give answers by `answer`; neither waits for the broker.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time_ns
from types import TracebackType
from typing import Any, Final, Self

from alerts.message import (
    ALERT,
    HEARTBEAT,
    REPLY,
    RESPONSE,
    DispatchState,
    InvalidMessage,
    UnknownKind,
    decode_known,
    encode,
    response_body,
)
from command.bus import (
    Consumer,
    Message,
    ResponsePublisher,
    Team,
    heartbeat_queue,
    reply_queue,
    team_queue,
    team_user,
    user_of,
)
from command.domain.alert import Severity
from command.domain.realm import Realm
from command.domain.response import Response, ResponseKind, TeamState
from command.operations.respond import HEARTBEAT_LATE_S
from command.operations.responder_line import is_repeat
from command.operations.responder_members import MEMBER_OF, told_of
from command.operations.responder_notebook import Answer, Notebook, severities_first

AGAIN_AFTER_S: Final = 30.0
"""An answer that the broker took and of which nothing was heard is sent again; it is known by its id."""
_LOOK_S: Final = 0.2
_PREFETCH: Final = 20
_NOTICES: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What there is to see now. number: another one where anything but the ages changed.

    alerts: the latest of each, the worst first. heard_s: since the last heartbeat, None while none is expected.
    silent: no heartbeat for too long. trouble: why nothing comes, None while it does. away: that lasts for longer than
    a connection takes. unable: whether this user may not answer for the team. waiting: answers that were not heard of.
    """

    number: int
    alerts: tuple[Mapping[str, Any], ...]
    connected: bool
    standing_by: bool
    away: bool
    trouble: str | None
    heard_s: float | None
    silent: bool
    state: DispatchState
    unable: bool
    waiting: int
    problem: str | None
    notices: tuple[tuple[str, Mapping[str, Any]], ...]

    @property
    def safe(self) -> bool:
        """Whether alerts come now, as far as anybody can tell."""
        return self.connected and not self.silent and self.state is DispatchState.RUNNING


class Watch:
    """The watch of one team in one realm, from `with` to its end. late_s: without a heartbeat it is then silent."""

    def __init__(
        self,
        *,
        amqp_url: str,
        realm: Realm,
        team: str,
        notebook: Path | None,
        late_s: float = HEARTBEAT_LATE_S,
        patience_s: float = 3.0,
        again_after_s: float = AGAIN_AFTER_S,
        monotonic_s: Callable[[], float] = monotonic,
    ) -> None:
        Team(name=team)
        self.realm, self.team = realm, team
        self._amqp_url, self._late_s, self._patience_s = amqp_url, late_s, patience_s
        self._again_after_s, self._monotonic_s = again_after_s, monotonic_s
        self._unable = user_of(amqp_url) != team_user(team)
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._notebook = Notebook(notebook)
        self._alerts = {body["alert_id"]: body for body in self._notebook.alerts()}
        self._waiting = len(self._notebook.waiting())
        self._notices: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=_NOTICES)
        self._bells = 0
        self._number = 0
        self._sorted: tuple[int, tuple[Mapping[str, Any], ...]] = (-1, ())
        self._state = DispatchState.RUNNING
        self._heard_at_s = self._apart_since_s = monotonic_s()
        self._sent_at_s: dict[str, float] = {}
        self._consumer: Consumer | None = None
        self._broken: str | None = None
        self._thread = threading.Thread(target=self._guarded, name="responder watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        with self._lock, self._notebook:
            pass

    def look(self) -> Look:
        """What there is to see now."""
        with self._lock:
            now_s, consumer = self._monotonic_s(), self._consumer
            connected = self._broken is None and consumer is not None and consumer.connected
            standing_by = consumer is not None and consumer.standing_by
            heard_s = None if standing_by else now_s - self._heard_at_s
            if self._sorted[0] != self._number:
                self._sorted = self._number, tuple(severities_first(list(self._alerts.values())))
            return Look(
                number=self._number,
                alerts=self._sorted[1],
                connected=connected,
                standing_by=standing_by,
                away=not connected and (self._broken is not None or now_s - self._apart_since_s > self._patience_s),
                trouble=self._broken or (None if consumer is None else consumer.trouble),
                heard_s=heard_s,
                silent=heard_s is not None and heard_s > self._late_s,
                state=self._state,
                unable=self._unable,
                waiting=self._waiting,
                problem=self._notebook.problem,
                notices=tuple(self._notices),
            )

    def bells(self) -> int:
        """How many critical alerts came since the last call."""
        with self._lock:
            rung, self._bells = self._bells, 0
            return rung

    def history(self, alert_id: str) -> list[dict[str, Any]]:
        """Every revision of an alert that came, the first one first."""
        with self._lock:
            return self._notebook.history(alert_id)

    def answers(self, alert_id: str) -> list[Answer]:
        """Our answers to an alert, in the order in which they were given."""
        with self._lock:
            return self._notebook.answers(alert_id)

    @property
    def responder(self) -> str:
        """Who sits at this terminal, as they said; empty until they did."""
        with self._lock:
            return self._notebook.fact("responder") or ""

    @responder.setter
    def responder(self, name: str) -> None:
        with self._lock:
            self._notebook.keep_fact("responder", name)

    def answer(self, alert_id: str, kind: ResponseKind, *, comment: str) -> None:
        """Write an answer down; it goes out now, or when there is a line again. Raises InvalidMessage."""
        with self._lock:
            body = response_body(
                self.realm,
                Response(
                    response_id=uuid.uuid4(),
                    alert_id=uuid.UUID(alert_id),
                    team=self.team,
                    kind=kind,
                    revision_seen=int(self._alerts[alert_id]["revision"]),
                    responder=self.responder,
                    answered_at_us=time_ns() // 1_000,
                    comment=comment,
                ),
            )
            encode(body, kind=RESPONSE)
            self._notebook.put_answer(body)
            self._waiting += 1
            self._number += 1

    def _guarded(self) -> None:
        """A watch that ends by a defect must not look like a quiet night."""
        try:
            self._run()
        except Exception as exc:
            self._broken = f"{type(exc).__name__}: {exc}"
            raise

    def _run(self) -> None:
        queues = [
            heartbeat_queue(self.team),
            *(team_queue(self.team, severity) for severity in sorted(Severity, reverse=True)),
            reply_queue(self.team),
        ]
        name = f"mizugiwa responder {self.team}"
        with (
            Consumer(
                self._amqp_url, self.realm.vhost, queues, prefetch=_PREFETCH, name=name, exclusive=True
            ) as consumer,
            ResponsePublisher(
                self._amqp_url, self.realm.vhost, team=self.team, settled=self._taken_by_broker
            ) as publisher,
        ):
            self._consumer = consumer
            while not self._stop.is_set():
                message = consumer.get(_LOOK_S)
                with self._lock:
                    if message is not None:
                        self._take(message)
                    if consumer.connected:
                        self._apart_since_s = self._monotonic_s()
                    if consumer.standing_by:
                        self._heard_at_s = self._monotonic_s()
                    elif consumer.connected and not self._unable:
                        self._send(publisher)
            publisher.drain(1.0)

    def _take(self, message: Message) -> None:
        try:
            if message.queue == heartbeat_queue(self.team):
                self._hear(decode_known(message.body, kind=HEARTBEAT))
            elif message.queue == reply_queue(self.team):
                self._take_reply(decode_known(message.body, kind=REPLY))
            else:
                self._take_alert(decode_known(message.body, kind=ALERT))
        except UnknownKind as exc:
            self._notice("unknown", body=json.dumps(exc.body, ensure_ascii=False))
            self._bells += 1  # nobody here can tell how bad it is
        except InvalidMessage as exc:
            message.reject()
            self._notice("unreadable", problem=str(exc))
            return
        message.ack()

    def _hear(self, body: Mapping[str, Any]) -> None:
        self._heard_at_s = self._monotonic_s()
        state = DispatchState(body["state"])
        if state is not self._state:
            self._state = state
            self._number += 1

    def _take_alert(self, message: Mapping[str, Any]) -> None:
        """Every alert that the message tells of."""
        for body in told_of(message, self._alerts.get):
            news = self._notebook.keep_alert(body)
            before = self._alerts.get(body["alert_id"])
            whole = before is not None and MEMBER_OF in before and MEMBER_OF not in body
            if not news and not (whole and before is not None and body["revision"] == before["revision"]):
                continue
            self._alerts[body["alert_id"]] = dict(body)
            worse = before is None or before["severity"] != "critical"
            self._bells += body["severity"] == "critical" and worse and body["cleared_at"] is None
            for stands in body.get("responses", ()):
                if stands["team"] == self.team:
                    self._notebook.settle(stands["response_id"], result="accepted")
        self._bells += is_repeat(message)
        self._waiting = len(self._notebook.waiting())
        self._number += 1

    def _take_reply(self, body: Mapping[str, Any]) -> None:
        if body["response_id"] is None:
            self._notice("refused", why=body["why"])
        elif self._notebook.settle(body["response_id"], result=body["result"], why=body["why"]) and body["why"]:
            self._notice(body["result"], why=body["why"])
        self._sent_at_s.pop(body["response_id"] or "", None)
        self._waiting = len(self._notebook.waiting())
        self._number += 1

    def _send(self, publisher: ResponsePublisher) -> None:
        """Hand over what waits and is not on its way, in order."""
        if not self._waiting:
            return
        now_s = self._monotonic_s()
        for answer in self._notebook.waiting():
            sent_at_s = self._sent_at_s.get(answer.response_id)
            if sent_at_s is not None and now_s - sent_at_s < self._again_after_s:
                continue
            if not publisher.publish(encode(answer.body, kind=RESPONSE), message_id=answer.response_id):
                return
            self._sent_at_s[answer.response_id] = now_s

    def _taken_by_broker(self, response_id: str, taken: bool) -> None:
        """In the publisher's thread. What was not taken is tried again after a while, as what was not answered."""
        if not taken:
            self._notices.append(("not_taken", {}))

    def _notice(self, key: str, **params: Any) -> None:
        self._notices.append((key, params))
        self._number += 1


def state_of(body: Mapping[str, Any], team: str) -> TeamState | None:
    """Where a team stands with an alert, as the centre last said; None where it has not answered."""
    return next((TeamState(each["state"]) for each in body.get("responses", ()) if each["team"] == team), None)
