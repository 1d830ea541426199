"""Intake and dispatch: the two processes behind the picture and the alerts. Dispatch seals the audit log beside it."""

from __future__ import annotations

import threading

from command.app.auditing import sealing
from command.app.channels import channel_setups
from command.app.program import Program
from command.operations import dispatch, intake


def run_intake(program: Program, stop: threading.Event) -> None:
    """The verb `intake`."""
    intake.serve(program.engine, program.endpoints.amqp_url, program.realm, stop=stop)


def run_dispatch(program: Program, stop: threading.Event) -> None:
    """The verb `dispatch`."""
    channels = channel_setups(program.settings.channels)
    with sealing(program):
        dispatch.run(
            engine=program.engine,
            database_url=program.endpoints.database_url,
            amqp_url=program.endpoints.amqp_url,
            realm=program.realm,
            teams=program.teams,
            clock=program.clock(stop),
            stop=stop,
            escalation=program.settings.escalation.value(),
            policy_file=program.settings.alerts_policy,
            channels=channels,
        )
