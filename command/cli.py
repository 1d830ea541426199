"""The command line: one verb a process or task. Wiring is in command.app; a verb only reads its words."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from command.domain.realm import Realm
from command.settings import BadSettings, Settings, load_settings

cli = typer.Typer(
    name="mizugiwa",
    help="Mizugiwa (水際): an operations centre for a customs authority that guards a coast.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML); docs/settings.md lists them.")]
RealmName = Annotated[str, typer.Option("--realm", help="live, drill-NAME or replay-NAME.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


def _fail(message: str) -> NoReturn:
    typer.echo(f"mizugiwa: {message}", err=True)
    raise typer.Exit(2)


def _say(line: str) -> None:
    """To people, beside a result on standard output."""
    typer.echo(line, err=True)


def _settings(config: Path | None) -> Settings:
    try:
        return load_settings(config)
    except BadSettings as exc:
        _fail(str(exc))


def _realm(name: str) -> Realm:
    try:
        return Realm.parse(name)
    except ValueError as exc:
        _fail(str(exc))


@cli.command()
def up(
    config: Config = None,
    drill: Annotated[
        str | None, typer.Option(help="Run this drill instead of the live realm, for example tsushima-night.")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="How many times as fast as the clock a drill runs.", min=0.1, max=60)
    ] = 1.0,
) -> None:
    """Start everything, show the console's address, keep it running. Ctrl-C stops every process.

    With no source configured, and none ever before, the drill tsushima-night runs.
    """
    from command.app.up import run

    run(_settings(config), config=config, drill=drill, speed=speed, say=_say)


@cli.command()
def gateway(config: Config = None, realm: RealmName = "live") -> None:
    """Run the sources and publish what they observe."""
    from command.app import program, sources

    settings, where = _settings(config), _realm(realm)
    with program.process("gateway", settings, where) as (here, stop):
        sources.run_gateway(here, stop)


@cli.command()
def intake(config: Config = None, realm: RealmName = "live") -> None:
    """Take observations into the picture: deduplicate, track, apply the rules, store. One a realm."""
    from command.app import picture, program

    settings, where = _settings(config), _realm(realm)
    with program.process("intake", settings, where) as (here, stop):
        picture.run_intake(here, stop)


@cli.command()
def dispatch(config: Config = None, realm: RealmName = "live") -> None:
    """Send alerts to the responders' queues, and the heartbeat."""
    from command.app import picture, program

    settings, where = _settings(config), _realm(realm)
    with program.process("dispatch", settings, where) as (here, stop):
        picture.run_dispatch(here, stop)


@cli.command()
def web(config: Config = None, realm: RealmName = "live") -> None:
    """Serve the console and the API."""
    from command.app import program, web

    settings, where = _settings(config), _realm(realm)
    with program.process("web", settings, where) as (here, stop):
        web.run_web(here, stop)


@cli.command()
def drill(
    name: Annotated[str, typer.Argument(help="The scenario, for example tsushima-night.")],
    config: Config = None,
) -> None:
    """Send a drill's protocol bytes to its gateway. `mizugiwa up --drill NAME` runs the whole of it."""
    from command.app import drilling, program

    settings, where = _settings(config), _realm(f"drill-{name}")
    with program.process("drill", settings, where) as (here, stop):
        drilling.run_feeder(here, stop)


@cli.command()
def responder(
    team: Annotated[str, typer.Option(help="The team whose alerts to show.")],
    config: Config = None,
    realm: RealmName = "live",
    language: Annotated[str, typer.Option("--lang", help="ja or en.")] = "ja",
    as_json: AsJson = False,
    count: Annotated[int | None, typer.Option(help="End after this many alerts.", min=1)] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines as they come, on a terminal as well.")] = False,
    password_file: Annotated[
        Path | None, typer.Option(help="The file with the password of the team's user, as `broker provision` made it.")
    ] = None,
) -> None:
    """A team's client: its alerts and the answers to them, loud when the line or the heartbeat is lost.

    On a terminal a screen in Japanese or English; into a pipe, with --plain or --json, a line an alert.
    """
    from command.app.responder import run_responder

    run_responder(
        _settings(config),
        _realm(realm),
        team=team,
        language=language,
        as_json=as_json,
        count=count,
        plain=plain,
        password_file=password_file,
        out=sys.stdout,
    )


@cli.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="Recordings: NMEA, .tlog or .csv.")],
    config: Config = None,
    speed: Annotated[str, typer.Option(help="max, or how many times as fast as recorded.")] = "1",
    realm: Annotated[str | None, typer.Option(help="replay-NAME; from the first file's name unless given.")] = None,
    report: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Play recordings through the real gateway, broker, intake and store, in a realm of their own."""
    from command.app.replaying import run_replay

    if report not in ("text", "json"):
        _fail(f"--report {report!r}: write text or json")
    told = run_replay(_settings(config), files, speed=speed, realm=None if realm is None else _realm(realm), say=_say)
    if report == "json":
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        for key, value in told.items():
            typer.echo(f"{key}: {value}")


users = typer.Typer(
    help="Accounts: add, list, roles, scope, disable, sessions, reset a lost password.", no_args_is_help=True
)
cli.add_typer(users, name="users")


@users.command("add")
def users_add(
    login: Annotated[str, typer.Argument(help="What the person types to log in.")],
    name: Annotated[str, typer.Option(help="The person's name, as the log shows it.")],
    role: Annotated[
        list[str], typer.Option(help="officer, pilot, responder, analyst, manager, auditor or admin; may be repeated.")
    ],
    config: Config = None,
) -> None:
    """Make an account and show its first password, once."""
    from command.app.accounts import add_user

    password = add_user(_settings(config), login, name=name, roles=role)
    typer.echo(f"{login}   password: {password}   (to be changed at the first login)")


@users.command("list")
def users_list(config: Config = None) -> None:
    """Show every account, its roles and the areas that they are limited to."""
    from command.app.accounts import everyone

    for user in everyone(_settings(config)):
        state = "\tdisabled" if user.disabled else ""
        where = "whole coast" if user.areas is None else ", ".join(sorted(user.areas))
        typer.echo(f"{user.login}\t{', '.join(sorted(user.roles))}\t{user.display_name}\t{where}{state}")


@users.command("reset-password")
def users_reset_password(login: Annotated[str, typer.Argument(help="Whose.")], config: Config = None) -> None:
    """Give a person who lost their password a new first one; their sessions end."""
    from command.app.accounts import reset_password

    password = reset_password(_settings(config), login)
    typer.echo(f"{login}   password: {password}   (to be changed at the next login)")


@users.command("reset-second-factor")
def users_reset_second_factor(login: Annotated[str, typer.Argument(help="Whose.")], config: Config = None) -> None:
    """Turn one-time codes off for a person who lost their device and recovery codes; their sessions end."""
    from command.app.accounts import reset_second_factor

    reset_second_factor(_settings(config), login)
    typer.echo(f"{login} signs in without a one-time code, until they set up a new one")


@users.command("roles")
def users_roles(
    login: Annotated[str, typer.Argument(help="Whose.")],
    role: Annotated[list[str], typer.Option(help="Every role the person has from now on; may be repeated.")],
    config: Config = None,
) -> None:
    """Set a person's roles. They count within seconds, in open sessions too."""
    from command.app.accounts import set_roles

    set_roles(_settings(config), login, role)
    typer.echo(f"{login}\t{', '.join(sorted(role))}")


@users.command("scope")
def users_scope(
    login: Annotated[str, typer.Argument(help="Whose.")],
    area: Annotated[
        list[str] | None, typer.Option(help="The slug of an area that the person may act in; may be repeated.")
    ] = None,
    whole_coast: Annotated[bool, typer.Option("--whole-coast", help="No limit any more.")] = False,
    config: Config = None,
) -> None:
    """Limit what a person does to some areas. It counts within seconds, in open sessions too."""
    from command.app.accounts import set_areas

    set_areas(_settings(config), login, area or (), whole_coast=whole_coast)
    typer.echo(f"{login}\t{'whole coast' if whole_coast else ', '.join(sorted(area or ()))}")


@users.command("disable")
def users_disable(login: Annotated[str, typer.Argument(help="Whose.")], config: Config = None) -> None:
    """Shut an account: its sessions end, and it cannot sign in."""
    from command.app.accounts import set_disabled

    set_disabled(_settings(config), login, True)
    typer.echo(f"{login} is disabled")


@users.command("enable")
def users_enable(login: Annotated[str, typer.Argument(help="Whose.")], config: Config = None) -> None:
    """Open a disabled account again."""
    from command.app.accounts import set_disabled

    set_disabled(_settings(config), login, False)
    typer.echo(f"{login} is enabled")


@users.command("sessions")
def users_sessions(
    login: Annotated[str | None, typer.Argument(help="Whose; everybody's unless given.")] = None, config: Config = None
) -> None:
    """Show open sessions: whose, since when, last seen, from where, with which browser, and the id to revoke it by."""
    from command.app.accounts import sessions
    from command.i18n.times import jst_minute

    for each in sessions(_settings(config), login):
        opened, seen = jst_minute(each.opened_at_us), jst_minute(each.last_seen_us)
        words = (each.session_id.hex()[:12], each.user.login, opened, seen, each.address, each.browser)
        typer.echo("\t".join("".join(c for c in word if c.isprintable()) for word in words))


@users.command("revoke")
def users_revoke(
    login: Annotated[str, typer.Argument(help="Whose.")],
    session: Annotated[
        str | None, typer.Argument(help="The session's id as `users sessions` shows it; all if none.")
    ] = None,
    config: Config = None,
) -> None:
    """End a person's sessions, or one of them. The console notices within seconds."""
    from command.app.accounts import revoke

    revoke(_settings(config), login, session)
    typer.echo(f"{login}: {'sessions' if session is None else 'session'} revoked")


broker = typer.Typer(help="The broker: the teams' users, and answers that were refused.", no_args_is_help=True)
cli.add_typer(broker, name="broker")


@broker.command("provision")
def broker_provision(
    config: Config = None,
    realm: RealmName = "live",
    passwords: Annotated[
        Path | None,
        typer.Option(help="The folder for the passwords, a file of 0600 a team; `teams` in keys_dir unless given."),
    ] = None,
    new_passwords: Annotated[
        bool, typer.Option("--new-passwords", help="Give every team another password; who is connected stays so.")
    ] = False,
    remove_gone: Annotated[
        bool, typer.Option("--remove-gone", help="Remove users of teams that are not in the settings.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Give each team of the settings a user at the broker that reads its own queues, answers, and can do no more."""
    from command.app.team_users import provision_teams

    for line in provision_teams(
        _settings(config),
        _realm(realm),
        folder=passwords,
        new_passwords=new_passwords,
        remove_gone=remove_gone,
        dry_run=dry_run,
    ):
        typer.echo(line)


@broker.command("refused")
def broker_refused(
    config: Config = None,
    realm: RealmName = "live",
    discard: Annotated[bool, typer.Option("--discard", help="Take them away, once somebody has looked.")] = False,
) -> None:
    """Show answers of teams that came under a false name or could not be read."""
    from command.app.team_users import refused_answers

    for line in refused_answers(_settings(config), _realm(realm), discard=discard):
        typer.echo(line)


audit = typer.Typer(help="The audit log: verify it, export it.", no_args_is_help=True)
cli.add_typer(audit, name="audit")


@audit.command("verify")
def audit_verify(
    config: Config = None,
    heads: Annotated[
        Path | None, typer.Option(help="A folder with a copy of the signed heads, kept where nobody here can write.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="Believe this public key, and not those beside the heads; may be repeated.")
    ] = None,
) -> None:
    """Check every entry against the signed heads. Exit code 1 where one was changed, taken away, cut off or put in."""
    from command.app.auditing import verify_audit

    told = verify_audit(_settings(config), heads=heads, keys=key or [])
    for found in told.found:
        typer.echo(str(found))
    typer.echo(
        f"{'NOT as sealed' if told.found else 'as sealed'}: {told.entries} entries in {told.batches} batches, "
        f"{len(told.found)} findings"
    )
    typer.echo(f"head: {told.head or 'none yet'}")
    typer.echo(f"signed by: {', '.join(told.keys) or 'nobody yet'}")
    raise typer.Exit(1 if told.found else 0)


@audit.command("export")
def audit_export(config: Config = None) -> None:
    """Write every entry to standard output, one JSON object a line."""
    from command.app.auditing import export_audit

    for line in export_audit(_settings(config)):
        typer.echo(line)


alerts = typer.Typer(help="The alert policy: check a file, explain which route an alert takes.", no_args_is_help=True)
cli.add_typer(alerts, name="alerts")


@alerts.command("check")
def alerts_check(
    file: Annotated[Path, typer.Argument(help="An alert policy (TOML); docs/alerts.md.")], config: Config = None
) -> None:
    """Say whether a policy file is good, or in one line what is wrong with it and what to write."""
    from command.app.alerting import check_policy

    typer.echo(check_policy(_settings(config), file))


@alerts.command("route")
def alerts_route(
    explain: Annotated[
        Path, typer.Option("--explain", help="One alert's JSON, as alerts/schemas/alert-1.json has it; - reads it.")
    ],
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Try this policy file instead of the one in force.")
    ] = None,
    config: Config = None,
    realm: RealmName = "live",
) -> None:
    """Show which route an alert takes and why, its group and waits, what holds it back, and whom it reaches."""
    from command.app.alerting import explain_route

    for line in explain_route(_settings(config), _realm(realm), explain, policy_file=policy):
        typer.echo(line)


areas = typer.Typer(help="Areas: bring them in from a file.", no_args_is_help=True)
cli.add_typer(areas, name="areas")


@areas.command("import")
def areas_import(
    file: Annotated[Path, typer.Argument(help="GeoPackage, GeoJSON, KML or CSV (docs/areas.md).")],
    config: Config = None,
    realm: RealmName = "live",
    kind: Annotated[
        str, typer.Option(help="geofence or area_of_interest: of what the file does not say.")
    ] = "area_of_interest",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Take the areas of a file, all of them or, where one is wrong, none."""
    from command.app.places import import_areas

    told = import_areas(_settings(config), _realm(realm), file, kind=kind, dry_run=dry_run)
    _tell_import(told.lines, failed=told.failed)


def _tell_import(lines: Sequence[str], *, failed: bool) -> None:
    for line in lines:
        typer.echo(line)
    if failed:
        raise typer.Exit(1)


rules = typer.Typer(help="Rules: list, show, history, undo.", no_args_is_help=True)
cli.add_typer(rules, name="rules")

RuleName = Annotated[str, typer.Argument(help="The rule's name, as `rules list` shows it first.")]


@rules.command("list")
def rules_list(config: Config = None, realm: RealmName = "live") -> None:
    """Show every rule: its name, whether it is on, the version that holds and who decided it."""
    from command.app.rules import list_rules

    for line in list_rules(_settings(config), _realm(realm)):
        typer.echo(line)


@rules.command("show")
def rules_show(rule: RuleName, config: Config = None, realm: RealmName = "live") -> None:
    """Show a rule's settings as they hold."""
    from command.app.rules import show_rule

    for line in show_rule(_settings(config), _realm(realm), rule):
        typer.echo(line)


@rules.command("history")
def rules_history(rule: RuleName, config: Config = None, realm: RealmName = "live") -> None:
    """Show a rule's versions, newest first: when, who, why, and what each changed."""
    from command.app.rules import rule_history

    for line in rule_history(_settings(config), _realm(realm), rule):
        typer.echo(line)


@rules.command("undo")
def rules_undo(
    rule: RuleName,
    version: Annotated[int, typer.Argument(help="The older version that is to hold again.", min=1)],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the version and in the audit log.")],
    config: Config = None,
    realm: RealmName = "live",
) -> None:
    """Bring an older version of a rule back, as a new one. It is in force within seconds."""
    from command.app.rules import undo_rule

    typer.echo(undo_rule(_settings(config), _realm(realm), rule, version, reason=reason))


facilities = typer.Typer(help="Facilities: bring them in from a file.", no_args_is_help=True)
cli.add_typer(facilities, name="facilities")


@facilities.command("import")
def facilities_import(
    file: Annotated[Path, typer.Argument(help="GeoPackage, GeoJSON, KML or CSV (docs/facilities.md).")],
    config: Config = None,
    realm: RealmName = "live",
    kind: Annotated[
        str,
        typer.Option(
            help="bonded_area, port_facility, coast_guard, police, lookout, other or a customs one: of what the file "
            "does not say."
        ),
    ] = "other",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Take the facilities of a file, all of them or, where one is wrong, none. Every realm shares them."""
    from command.app.places import import_facilities

    told = import_facilities(_settings(config), _realm(realm), file, kind=kind, dry_run=dry_run)
    _tell_import(told.lines, failed=told.failed)


@cli.command("export")
def export_(
    what: Annotated[str, typer.Argument(help="areas, facilities, alerts or tracks.")],
    config: Config = None,
    realm: RealmName = "live",
    form: Annotated[
        str | None, typer.Option("--format", help="gpkg, geojson, kml or csv; else by the file's name, else geojson.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write, which must not be there; WHAT-REALM.FORMAT else.")
    ] = None,
) -> None:
    """Write what a realm holds to a file for other systems, in WGS 84."""
    from command.app.places import export_to

    written, count = export_to(_settings(config), _realm(realm), what, form=form, to=to)
    typer.echo(f"{count} {what} of {realm} in {written}")


@cli.command()
def doctor(config: Config = None) -> None:
    """Say what is missing on this machine and the line that mends it. Changes nothing."""
    from command.app.doctor import examine_machine

    well = True
    for finding in examine_machine(_settings(config)):
        well &= finding.well
        typer.echo(f"{'ok  ' if finding.well else 'MEND'}  {finding.what}: {finding.detail}")
        if not finding.well and finding.mend:
            typer.echo(f"      -> {finding.mend}")
    raise typer.Exit(0 if well else 1)


@cli.command()
def bench(
    name: Annotated[str, typer.Argument(help="intake, alert-latency, console, relay or storm.")],
    as_json: AsJson = False,
) -> None:
    """Measure one thing beside its peer, from a checkout. Figures and their commands are in docs/performance.md."""
    from command.app.bench import run_bench

    told = run_bench(name)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        for key, value in told.items():
            typer.echo(f"{key}: {value}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. What a person can mend is one line and exit code 2; a defect shows its traceback."""
    try:
        cli(list(arguments) if arguments is not None else None)
    except Exception as exc:
        from command.app.mendable import MENDABLE

        if not isinstance(exc, MENDABLE):
            raise
        typer.echo(f"mizugiwa: {' '.join(str(exc).split())}", err=True)
        raise SystemExit(2) from exc


if __name__ == "__main__":
    main()
