"""A responder's client on the terminal."""

from __future__ import annotations

import logging
from typing import TextIO

from command.app.logs import configure_logging
from command.app.program import endpoints_of, stop_on_signals
from command.bus import Team
from command.domain.realm import Realm
from command.i18n import texts
from command.operations import respond
from command.settings import BadSettings, Settings


def run_responder(
    settings: Settings,
    realm: Realm,
    *,
    team: str,
    language: str,
    as_json: bool,
    count: int | None,
    out: TextIO,
) -> None:
    """The verb `responder`: a team's alerts on standard output until Ctrl-C. Raises BadSettings."""
    try:
        Team(name=team)
        texts(language)
    except ValueError as exc:
        raise BadSettings(str(exc)) from exc
    # The client says itself what a responder must know; standard output is the alerts' alone.
    configure_logging("responder", None, level=logging.ERROR)
    respond.run(
        amqp_url=endpoints_of(settings).amqp_url,
        realm=realm,
        team=team,
        language=language,
        out=out,
        stop=stop_on_signals(),
        as_json=as_json,
        count=count,
        shown_file=settings.data_dir / f"responder-{realm.name}-{team}.shown",
    )
