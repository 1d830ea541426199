"""The policy in force: the file, read again when it changes, and the last good one where it cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from alerts.policy import MAX_POLICY_BYTES, BadPolicy, Policy, default_policy, parse_policy

LOOK_EVERY_S: Final = 1.0

_log = structlog.get_logger(__name__)
_Mark = tuple[int, int, int]


def read_policy(path: Path) -> Policy:
    """The policy of a file. Raises BadPolicy, in one line with the file's name."""
    try:
        with path.open("rb") as file:
            written = file.read(MAX_POLICY_BYTES + 1).decode("utf-8")
        return parse_policy(written)
    except OSError as exc:
        raise BadPolicy(f"{path} cannot be read ({exc.strerror}); correct alerts_policy or the file") from exc
    except UnicodeDecodeError as exc:
        raise BadPolicy(f"{path} is not UTF-8: {exc}") from exc
    except BadPolicy as exc:
        raise BadPolicy(f"{path}: {exc}") from exc


@dataclass(frozen=True, kw_only=True, slots=True)
class InForce:
    """trouble: why the file is not what is in force, for an operator; None where all is well."""

    policy: Policy
    trouble: str | None


class PolicyFile:
    """Looks at the file once a second. One that has just changed is read only when it has not changed for another
    second, so that what an editor has half written is never taken for the whole."""

    def __init__(
        self, path: Path | None, *, channels: Collection[str], monotonic_s: Callable[[], float] = monotonic
    ) -> None:
        self._path, self._channels, self._monotonic_s = path, channels, monotonic_s
        self._good: Policy | None = None
        self._trouble: str | None = None
        self._looked_s = -LOOK_EVERY_S
        self._seen: _Mark | None = None
        self._read: _Mark | None = None
        self._first = True

    def in_force(self, *, stored: Callable[[], str | None]) -> InForce:
        """stored: the last policy that alerts were planned by, for a start with a file that cannot be used."""
        if self._path is None:
            return InForce(policy=default_policy(), trouble=None)
        if self._monotonic_s() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = self._monotonic_s()
            self._look(self._path)
        if self._good is None:
            self._good = _last_good(stored())
        trouble = self._trouble
        if trouble is None and (unknown := self._good.unknown_channels(self._channels)):
            route, names = next(iter(unknown.items()))
            trouble = (
                f"{self._path}: route {route}: no channel {names[0]!r} is set up; choose from "
                f"{', '.join(sorted(self._channels))}. The route's other channels are used, or all of them"
            )
        return InForce(policy=self._good, trouble=trouble)

    def _look(self, path: Path) -> None:
        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            mark = (0, 0, 0)  # gone: read_policy says so
        settled = mark == self._seen or self._first
        self._seen, self._first = mark, False
        if mark == self._read or not settled:
            return
        self._read = mark
        try:
            self._good, self._trouble = read_policy(path), None
            _log.info("policy_read", path=str(path), routes=len(self._good.by_name))
        except BadPolicy as exc:
            self._trouble = f"{exc}. The last good policy stays in force"
            _log.error("policy_refused", reason=str(exc))


def _last_good(stored: str | None) -> Policy:
    if stored is not None:
        try:
            return parse_policy(stored)
        except BadPolicy as exc:  # an earlier release took it
            _log.warning("stored_policy_refused", reason=str(exc))
    return default_policy()
