"""The broker's users of the teams, on the command line."""

from __future__ import annotations

from pathlib import Path

from command.app.program import endpoints_of
from command.domain.realm import Realm
from command.operations.team_access import provision
from command.settings import Settings


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
    done = provision(
        endpoints_of(settings),
        realm,
        [team.name for team in settings.teams],
        passwords=passwords_of(settings, folder),
        new_passwords=new_passwords,
        remove_gone=remove_gone,
        dry_run=dry_run,
    )
    mark = "would be: " if dry_run else ""
    lines = [f"{step.name}: {mark}{step.change.value}" for step in done.steps]
    lines = lines or ["everything is as it should be; nothing to do"]
    lines += [f"{user}: no such team in the settings; --remove-gone removes it" for user in done.gone]
    if not dry_run:
        lines += [f"password of team {team}: {file}" for team, file in done.files.items()]
    return lines
