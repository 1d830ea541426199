"""Whose session a browser's token is, asked with every request and remembered for seconds."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from command.domain.clock import US_PER_S, Clock, SystemClock
from command.operations.people import AccountRules, Person, token_hash
from command.store.engine import StoreUnavailable, shared_session
from command.store.people import find_session, touch_session

_CACHE_S: Final = 5.0
_CACHE_LIMIT: Final = 1_000
_HUNG_S: Final = 60
_TOUCH_EVERY_US: Final = 30 * US_PER_S


@dataclass(slots=True)
class _Remembered:
    person: Person
    checked_at_us: int
    touched_at_us: int = field(default=0)


class SessionGate:
    """Whose session a token is. It asks the store every few seconds a session, and while the store is away
    believes what it last said, within the session's own limits: a watch does not end with the database."""

    def __init__(self, engine: Engine, *, rules: AccountRules, clock: Clock | None = None) -> None:
        self._engine = engine
        self._rules = rules
        self._clock = clock or SystemClock()
        self._remembered: dict[bytes, _Remembered] = {}
        self._lock = threading.Lock()

    def find(self, token: str) -> Person | None:
        """The person of a session that is open; None where it is unknown, expired or idle too long.

        Raises StoreUnavailable for a session that this process does not know yet.
        """
        return self._find(token_hash(token))

    def again(self, person: Person) -> Person | None:
        """The same person as they are now; None where their session is over. Errors as `find`."""
        return self._find(person.session_id)

    def _find(self, session_id: bytes) -> Person | None:
        now_us = self._clock.now_us()
        with self._lock:
            known = self._remembered.get(session_id)
        if known is None or now_us - known.checked_at_us > _CACHE_S * US_PER_S:
            if known is not None:
                # while this request waits for a store that hangs, the others of the session go on
                known.checked_at_us = now_us + _HUNG_S * US_PER_S
            try:
                known = self._ask(session_id, now_us=now_us)
            except StoreUnavailable:
                if known is None:
                    raise
                known.checked_at_us = now_us
        if known is None or not self._open(known.person, now_us=now_us):
            self.forget(session_id)
            return None
        return known.person

    def forget(self, session_id: bytes) -> None:
        """Ask the store the next time."""
        with self._lock:
            self._remembered.pop(session_id, None)

    def forget_all(self) -> None:
        """Ask the store the next time, for every session: somebody's rights or sessions were changed."""
        with self._lock:
            self._remembered.clear()

    def touch(self, person: Person) -> None:
        """The person used keyboard or pointer: their session is not idle."""
        now_us = self._clock.now_us()
        with self._lock:
            known = self._remembered.get(person.session_id)
            if known is None or now_us - known.touched_at_us < _TOUCH_EVERY_US:
                return
            known.touched_at_us = now_us
        with shared_session(self._engine) as session:
            touch_session(session, person.session_id, now_us=now_us)

    def _ask(self, session_id: bytes, *, now_us: int) -> _Remembered | None:
        with shared_session(self._engine) as session:
            found = find_session(session, session_id)
        if found is None or found.user.disabled:
            return None
        person = Person(
            user=found.user,
            session_id=session_id,
            expires_at_us=found.expires_at_us,
            active_at_us=found.last_seen_us,
            due=self._rules.due(found.user, second_factor=found.second_factor, code_due=found.code_due),
        )
        with self._lock:
            before = self._remembered.pop(session_id, None)
            while len(self._remembered) >= _CACHE_LIMIT:
                self._remembered.pop(next(iter(self._remembered)))
            touched = before.touched_at_us if before else 0
            known = _Remembered(person=person, checked_at_us=now_us, touched_at_us=touched)
            self._remembered[session_id] = known
        return known

    def _open(self, person: Person, *, now_us: int) -> bool:
        return not person.user.disabled and now_us < self._rules.ends_at_us(person.expires_at_us, person.active_at_us)
