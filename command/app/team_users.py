"""The broker's users of the teams, on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from command.app.accounts import terminal_user
from command.app.program import Program, opened
from command.bus import dead_responses
from command.domain.clock import US_PER_S, SystemClock
from command.domain.realm import Realm
from command.i18n.times import jst
from command.operations.responder_line import clean
from command.operations.team_access import provision
from command.settings import Settings
from command.store.audit import append_audit
from command.store.engine import shared_session

_SHOWN_BYTES: Final = 600


def passwords_of(settings: Settings, folder: Path | None) -> Path:
    """The folder with the teams' passwords: the one given, else `teams` beside the keys."""
    return settings.keys_dir / "teams" if folder is None else folder


def provision_teams(
    settings: Settings,
    realm: Realm,
    *,
    folder: Path | None,
    new_passwords: bool,
    remove_gone: bool,
    dry_run: bool,
) -> list[str]:
    """What was done, line by line. Raises ServiceMissing, BadKey."""
    with opened(settings, realm) as program:
        done = provision(
            program.endpoints,
            realm,
            [team.name for team in settings.teams],
            passwords=passwords_of(settings, folder),
            new_passwords=new_passwords,
            remove_gone=remove_gone,
            dry_run=dry_run,
        )
        if done.steps and not dry_run:
            steps = [f"{step.name}: {step.change.value}" for step in done.steps]
            _audit(program, "broker.provisioned", steps=steps)
    mark = "would be: " if dry_run else ""
    lines = [f"{step.name}: {mark}{step.change.value}" for step in done.steps]
    lines = lines or ["everything is as it should be; nothing to do"]
    lines += [f"{user}: no such team in the settings; --remove-gone removes it" for user in done.gone]
    if not dry_run:
        lines += [f"password of team {team}: {file}" for team, file in done.files.items()]
    return lines


def refused_answers(settings: Settings, realm: Realm, *, discard: bool) -> list[str]:
    """Answers that were not believed, a line each: when, from which user, under which routing key, and what.

    discard: they are taken away, which the audit log keeps. Raises BrokerUnavailable, StoreUnavailable.
    """
    with opened(settings, realm) as program:
        found = dead_responses(program.endpoints.amqp_url, realm.vhost, discard=discard)
        if discard and found:
            _audit(program, "responses.discarded", messages=len(found))
    lines = [
        "\t".join(
            (
                "?" if each.sent_at_s is None else jst(each.sent_at_s * US_PER_S),
                each.user_id or "(no user)",
                clean(each.routing_key),
                clean(each.body[:_SHOWN_BYTES].decode("utf-8", "replace")),
            )
        )
        for each in found
    ]
    return [*lines, f"{len(found)} answers {'discarded' if discard else 'refused'}"]


def _audit(program: Program, action: str, **detail: Any) -> None:
    with shared_session(program.engine) as session:
        append_audit(
            session,
            actor=terminal_user(),
            action=action,
            target=program.realm.vhost,
            detail={"realm": program.realm.name, **detail},
            now_us=SystemClock().now_us(),
        )
