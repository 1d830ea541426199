"""NOTIFY once a transaction, LISTEN on one connection a process: how dispatch and consoles hear of changes at once.

A notification only wakes: what changed is read from the tables, so a lost one costs the time until the next poll.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from command.domain.realm import Realm
from command.store.engine import connection_label, connection_parameters, realm_of, store_errors
from command.store.jsonb import json_text

_MAX_PAYLOAD_BYTES: Final = 7_999


def channel_of(realm: Realm) -> str:
    """The realm's channel, `mizugiwa_realm_live`: at most 63 letters, as PostgreSQL wants."""
    return f"mizugiwa_{realm.schema}"


def notify(session: Session, payload: Mapping[str, Any]) -> None:
    """Tell every listener of the session's realm, when this transaction commits.

    The store itself sends {"tracks": seq} (upsert_latest), {"alerts": how many changed}, {"areas": revision},
    {"notes": revision}, {"rules": revision}, {"deliveries": how many are new}, {"resent": how many of them a person
    changed} and {"incidents": how many changed}; operations send {"facilities": revision}. Raises ValueError for more
    than 7,999 bytes of JSON.
    """
    body = json_text(dict(payload))
    if len(body.encode()) > _MAX_PAYLOAD_BYTES:
        raise ValueError(
            f"a notification of {len(body.encode())} bytes; send at most {_MAX_PAYLOAD_BYTES}, or a row's key"
        )
    session.execute(text("SELECT pg_notify(:channel, :body)"), {"channel": channel_of(realm_of(session)), "body": body})


def listen(database_url: str, realm: Realm, *, timeout_s: float) -> Generator[dict[str, Any] | None]:
    """Payloads of the realm's notifications as they come, for ever; None after each `timeout_s` without one.

    It yields None once as soon as it listens: read the tables then, for what changed before is not told.
    A lost connection raises StoreUnavailable: call again. Close the generator (`contextlib.closing`) when done.
    """
    parameters = connection_parameters(database_url)
    with (
        store_errors(connection_label(parameters)),
        psycopg.connect(**parameters, autocommit=True) as connection,
    ):
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel_of(realm))))
        yield None
        while True:
            heard = False
            for notification in connection.notifies(timeout=timeout_s, stop_after=1):
                heard = True
                yield json.loads(notification.payload)
            if not heard:
                yield None
