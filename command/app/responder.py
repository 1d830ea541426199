"""A responder's client on the terminal."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TextIO
from urllib.parse import quote, urlsplit

from command.app.logs import configure_logging
from command.app.program import endpoints_of, stop_on_signals
from command.app.team_users import passwords_of
from command.bus import Team, team_user
from command.domain.realm import Realm
from command.i18n import texts
from command.operations import respond
from command.operations.team_access import password_file as password_file_of
from command.settings import BadSettings, Settings


def team_url(settings: Settings, team: str, password_file: Path | None) -> str:
    """AMQP_URL as the team's own user, where its password is known; else as it is. Raises BadSettings.

    The password is that of the file given, else, where AMQP_URL names no user of its own, of the file that `mizugiwa
    broker provision` made here.
    """
    amqp_url = settings.amqp_url or endpoints_of(settings).amqp_url
    parts = urlsplit(amqp_url)
    file = password_file or password_file_of(passwords_of(settings, None), team)
    if password_file is None and (not file.exists() or (settings.amqp_url is not None and parts.username)):
        return amqp_url
    try:
        password = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSettings(f"the password of team {team} cannot be read from {file} ({exc})") from exc
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{team_user(team)}:{quote(password, safe='')}@{host}").geturl()


def run_responder(
    settings: Settings,
    realm: Realm,
    *,
    team: str,
    language: str,
    as_json: bool,
    count: int | None,
    plain: bool,
    password_file: Path | None,
    out: TextIO,
) -> None:
    """The verb `responder`: the terminal client where people look at it, else lines on `out`. Raises BadSettings."""
    try:
        Team(name=team)
        texts(language)
    except ValueError as exc:
        raise BadSettings(str(exc)) from exc
    # The client says itself what a responder must know; standard output is the alerts' alone.
    people = not (plain or as_json or count is not None) and out.isatty()
    configure_logging("responder", None, level=logging.CRITICAL if people else logging.ERROR)
    amqp_url = team_url(settings, team, password_file)
    kept = settings.data_dir / f"responder-{realm.name}-{team}"
    if people:
        _run_terminal(amqp_url, realm, team=team, language=language, notebook=kept.with_name(f"{kept.name}.notebook"))
        return
    respond.run(
        amqp_url=amqp_url,
        realm=realm,
        team=team,
        language=language,
        out=out,
        stop=stop_on_signals(),
        as_json=as_json,
        count=count,
        shown_file=kept.with_name(f"{kept.name}.shown"),
    )


def _run_terminal(amqp_url: str, realm: Realm, *, team: str, language: str, notebook: Path) -> None:
    from command.operations.responder_terminal import Terminal  # noqa: PLC0415 - lines for programs start without it
    from command.operations.responder_watch import Watch  # noqa: PLC0415

    with Watch(amqp_url=amqp_url, realm=realm, team=team, notebook=notebook) as watch:
        Terminal(watch, language=language).run()
