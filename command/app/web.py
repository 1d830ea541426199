"""The console and the API as a process."""

from __future__ import annotations

import threading

import uvicorn

from command.api.rate import RateRules
from command.api.web import make_web
from command.app.accounts import account_rules, claim_rules, openid_provider
from command.app.program import Program
from command.bus import QueueWatch, republish_dead_letters
from command.operations import dispatch
from command.operations.codes import CodeKey
from command.operations.console import Console
from command.operations.keys import codes_key
from command.operations.people import Accounts
from command.operations.second_factor import SecondFactors
from command.operations.session_gate import SessionGate
from command.operations.single_sign_on import SingleSignOn
from command.operations.tokens import ApiTokens
from dashboards.shell import mount_console
from maps.basemap import TILES_FILE


def run_web(program: Program, stop: threading.Event) -> None:
    """The verb `web`: the console, until SIGTERM or Ctrl-C, which the HTTP server takes itself."""
    web = program.settings.web
    online_map = None if web.online_map is None else web.online_map.value()
    rules = account_rules(program.settings)
    code_key = CodeKey(codes_key(program.settings.keys_dir))
    with QueueWatch(
        program.endpoints.amqp_url, program.realm.vhost, dispatch.watched_queues(program.teams), name="mizugiwa web"
    ) as watch:
        console = Console(
            program.engine,
            database_url=program.endpoints.database_url,
            realm=program.realm,
            clock=program.clock(stop),
            republish=lambda: republish_dead_letters(program.endpoints.amqp_url, program.realm.vhost),
            teams=[team.name for team in program.teams],
            queue_depths=lambda: None if watch.trouble else {name: d.ready for name, d in watch.depths().items()},
            escalation=program.settings.escalation.value(),
        )
        accounts = Accounts(program.engine, rules=rules)
        openid = program.settings.people.openid
        sso = None
        if openid is not None:
            sso = SingleSignOn(
                program.engine,
                accounts=accounts,
                provider=openid_provider(openid),
                rules=claim_rules(openid),
                names={"ja": openid.name_ja, "en": openid.name_en},
                key=code_key,
            )
        application = make_web(
            console=console,
            accounts=accounts,
            factors=SecondFactors(program.engine, accounts=accounts, key=code_key),
            tokens=ApiTokens(program.engine, accounts=accounts, longest_days=program.settings.people.token_days),
            rate=RateRules(requests_per_s=web.requests_per_s, burst=web.requests_burst),
            gate=SessionGate(program.engine, rules=rules),
            basemap=TILES_FILE,
            mount=lambda server: mount_console(server, console, online_map=online_map),
            online_map=online_map,
            secure=web.tls_key is not None,
            sso=sso,
        )
        uvicorn.run(
            application,
            host=web.host,
            port=web.port,
            ssl_certfile=web.tls_certificate,
            ssl_keyfile=web.tls_key,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
        )
