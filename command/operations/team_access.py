"""Broker users of the teams: each reads its own queues, writes its own answers, and can do nothing else."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from command.bus import RESPONSES, TEAM_USER_PREFIX, response_key, team_user
from command.domain.realm import Realm
from command.operations.keys import kept_secret
from command.services import Access, BrokerUsers, Endpoints, ServiceMissing, ensure_vhost, password_is

PASSWORD_BYTES: Final = 32


class Change(StrEnum):
    """What was done, or would be."""

    VHOST = "vhost made"
    MADE = "user made"
    PASSWORD = "given the password of its file"  # noqa: S105 - words for people
    NEW_PASSWORD = "given a new password"  # noqa: S105 - the same
    GRANTED = "permissions set"
    REMOVED = "user removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One change of the broker. name: the user, or the vhost."""

    name: str
    change: Change


@dataclass(frozen=True, kw_only=True, slots=True)
class Provisioned:
    """The changes, users of teams that are gone and were left, and the file of each team's password."""

    steps: tuple[Step, ...]
    gone: tuple[str, ...]
    files: dict[str, Path]


def password_file(folder: Path, team: str) -> Path:
    """Where a team's password is kept, readable for its owner alone."""
    return folder / f"{team_user(team)}.password"


def team_access(team: str) -> Access:
    """What a team's user may do: take from its own queues, answer under its own key, declare nothing."""
    return Access(
        configure="^$",
        write=f"^{RESPONSES}$",
        read=rf"^team\.{re.escape(team)}\.",
        topic_exchange=RESPONSES,
        topic_write=f"^{re.escape(response_key(team))}$",
        topic_read="^$",
    )


def provision(
    endpoints: Endpoints,
    realm: Realm,
    teams: Sequence[str],
    *,
    passwords: Path,
    new_passwords: bool = False,
    remove_gone: bool = False,
    dry_run: bool = False,
) -> Provisioned:
    """Make the teams' users and let them do what they need in the realm's vhost, and no more there.

    What is right already is left as it is, so it may be run again and again. passwords: the folder for the files.
    remove_gone: also take away users of teams that are not among `teams`, with their files. dry_run: change nothing.
    Raises ServiceMissing, BadKey.
    """
    if endpoints.management_url is None:
        raise ServiceMissing(
            "the broker's management API is not known; set AMQP_MANAGEMENT_URL=http://USER:PASSWORD@HOST:15672, or "
            "make the users by hand (docs/broker-tls.md)"
        )
    users = BrokerUsers(endpoints.management_url)
    known = users.named(TEAM_USER_PREFIX)
    steps: list[Step] = []
    if not users.has_vhost(realm.vhost):
        steps.append(Step(name=realm.vhost, change=Change.VHOST))
        if not dry_run:
            ensure_vhost(endpoints, realm.vhost)
    for team in teams:
        user = team_user(team)
        file = password_file(passwords, team)
        change = _password_change(file, known.get(user), new_passwords=new_passwords)
        if change is not None:
            steps.append(Step(name=user, change=change))
            if not dry_run:
                _give_password(users, user, file, anew=change is Change.NEW_PASSWORD)
        wanted = team_access(team)
        if users.access(user, realm.vhost) != wanted:
            steps.append(Step(name=user, change=Change.GRANTED))
            if not dry_run:
                users.grant(user, realm.vhost, wanted)
    gone = tuple(sorted(known.keys() - {team_user(team) for team in teams}))
    if remove_gone:
        for user in gone:
            steps.append(Step(name=user, change=Change.REMOVED))
            if not dry_run:
                users.delete(user)
                password_file(passwords, user.removeprefix(TEAM_USER_PREFIX)).unlink(missing_ok=True)
    return Provisioned(
        steps=tuple(steps),
        gone=() if remove_gone else gone,
        files={team: password_file(passwords, team) for team in teams},
    )


def _password_change(file: Path, password_hash: str | None, *, new_passwords: bool) -> Change | None:
    """What has to be done so that a user has the password of its file; None where it has."""
    if password_hash is None:
        return Change.MADE
    if new_passwords or not file.exists():
        return Change.NEW_PASSWORD
    return None if password_is(_read(file), password_hash) else Change.PASSWORD


def _give_password(users: BrokerUsers, user: str, file: Path, *, anew: bool) -> None:
    if anew:
        file.unlink(missing_ok=True)
    users.put(user, _read(file))


def _read(file: Path) -> str:
    """The password in a file, made where there is none."""
    return kept_secret(file, lambda: secrets.token_urlsafe(PASSWORD_BYTES).encode()).decode().strip()
