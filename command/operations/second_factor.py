"""The second step of signing in: one-time codes from a person's own device, and recovery codes for its loss."""

from __future__ import annotations

import uuid

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import Clock, SystemClock
from command.domain.people import User
from command.operations.codes import (
    CodeKey,
    KeyLost,
    is_one_time,
    new_recovery_codes,
    new_secret,
    recovery_hash,
    right_step,
)
from command.operations.people import Accounts, BadAccount, OpenedSession, Origin, Person, SignInRefused
from command.store.audit import append_audit
from command.store.engine import shared_session
from command.store.people import clear_login_failures, close_session, users_with_second_factor
from command.store.second_factor import (
    StoredFactor,
    begin_factor,
    count_recovery_codes,
    drop_factor,
    find_factor,
    replace_recovery_codes,
    use_recovery_code,
    use_step,
)

_log = structlog.get_logger(__name__)


class SecondFactors:
    """Second factors of accounts. Every method may raise StoreUnavailable."""

    def __init__(self, engine: Engine, *, accounts: Accounts, key: CodeKey, clock: Clock | None = None) -> None:
        self._engine = engine
        self._accounts = accounts
        self._key = key
        self._clock = clock or SystemClock()

    def give_code(self, person: Person, code: str, *, origin: Origin) -> OpenedSession:
        """The second step of signing in, in a session that waits for it: another session, whose token nobody has seen
        before. Raises SignInRefused: wrong, used, or locked, as for passwords.
        """
        user, now_us = person.user, self._clock.now_us()
        with shared_session(self._engine) as session:
            factor = find_factor(session, user.user_id)
            locked = self._accounts.locked(session, user.login, now_us=now_us)
            how = None if locked or factor is None else self._used(session, factor, code, now_us=now_us)
            if how is not None:
                clear_login_failures(session, user.login)
                close_session(session, person.session_id)
                return self._accounts.open(session, user, origin, now_us=now_us, second=how)
            if not locked:
                self._accounts.record_failure(session, user.login, now_us=now_us, step="code")
        raise self._accounts.lock_refusal() if locked else SignInRefused("login.code_wrong")

    def _used(self, session: Session, factor: StoredFactor, code: str, *, now_us: int) -> str | None:
        """Which kind of code it was, used up now; None where it is wrong."""
        if not is_one_time(kept := "".join(code.split())):
            return "recovery" if use_recovery_code(session, factor.user_id, recovery_hash(kept)) else None
        try:
            secret = self._key.open(factor.sealed_secret, factor.user_id)
        except KeyLost as exc:
            _log.error("a one-time code cannot be checked", reason=str(exc))
            return None
        step = right_step(secret, kept, now_us=now_us, after_step=factor.last_step)
        if step is None:
            return None
        use_step(session, factor.user_id, step)
        return "code"

    def begin(self, person: Person, password: str) -> str:
        """A secret for the person's authenticator, which counts once `confirm` has seen a code of it.

        Raises PasswordRefused, SignInRefused, and BadAccount where there is one already.
        """
        self._accounts.check_password(person, password)
        secret, user_id = new_secret(), person.user.user_id
        with shared_session(self._engine) as session:
            factor = find_factor(session, user_id)
            if factor is not None and factor.confirmed:
                raise BadAccount("account.second_is_on")
            begin_factor(session, user_id, sealed_secret=self._key.seal(secret, user_id), now_us=self._clock.now_us())
        return secret

    def waiting_secret(self, person: Person) -> str | None:
        """The secret that was begun and not confirmed, to show it again."""
        with shared_session(self._engine) as session:
            factor = find_factor(session, person.user.user_id)
        if factor is None or factor.confirmed:
            return None
        return self._key.open(factor.sealed_secret, factor.user_id)

    def confirm(self, person: Person, code: str) -> list[str] | None:
        """Turn the factor on that was begun; its recovery codes, shown once. None where the code is wrong."""
        user, now_us = person.user, self._clock.now_us()
        with shared_session(self._engine) as session:
            factor = find_factor(session, user.user_id)
            if factor is None or factor.confirmed or not is_one_time("".join(code.split())):
                return None
            if self._used(session, factor, code, now_us=now_us) is None:
                return None
            self._audit(session, user, "second_factor.on", by=user.login)
            return self._new_recovery_codes(session, user)

    def renew_codes(self, person: Person, password: str) -> list[str]:
        """Other recovery codes, shown once. Raises PasswordRefused, SignInRefused, BadAccount without a factor."""
        self._accounts.check_password(person, password)
        with shared_session(self._engine) as session:
            factor = find_factor(session, person.user.user_id)
            if factor is None or not factor.confirmed:
                raise BadAccount("account.second_is_off")
            self._audit(session, person.user, "second_factor.codes", by=person.user.login)
            return self._new_recovery_codes(session, person.user)

    def _new_recovery_codes(self, session: Session, user: User) -> list[str]:
        codes = new_recovery_codes()
        replace_recovery_codes(session, user.user_id, [recovery_hash(code) for code in codes])
        return codes

    def end(self, person: Person, password: str) -> None:
        """Turn one's own factor off. Raises PasswordRefused, SignInRefused, BadAccount where a role requires it."""
        self._accounts.check_password(person, password)
        if person.user.roles & self._accounts.rules.second_factor_roles:
            raise BadAccount("account.second_required")
        with shared_session(self._engine) as session:
            if drop_factor(session, person.user.user_id):
                self._audit(session, person.user, "second_factor.off", by=person.user.login)

    def codes_left(self, person: Person) -> int | None:
        """How many recovery codes the person still has; None without a second factor."""
        with shared_session(self._engine) as session:
            factor = find_factor(session, person.user.user_id)
            on = factor is not None and factor.confirmed
            return count_recovery_codes(session, person.user.user_id) if on else None

    def holders(self) -> frozenset[uuid.UUID]:
        """Whose sign-in asks for a code."""
        with shared_session(self._engine) as session:
            return users_with_second_factor(session)

    def _audit(self, session: Session, user: User, action: str, *, by: str) -> None:
        append_audit(session, actor=by, action=action, target=user.login, detail={}, now_us=self._clock.now_us())
