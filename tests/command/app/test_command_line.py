"""What a person can mend is told in one line and exit code 2, before anything is started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from shapely import box

from command.domain.area import AreaKind
from command.domain.realm import Realm
from command.services import Endpoints
from command.store.areas import put_area
from command.store.engine import make_engine, realm_session, shared_session
from command.store.facilities import save_shipped
from command.store.migrations import ensure_realm, migrate
from command.store.rules import put_rule
from maps.reference import reference_facilities


@pytest.fixture
def folder(server_dir: Callable[[str], Path]) -> Path:
    """A working folder that the servers' account could reach, so that no verb stops for that reason."""
    return server_dir("words")


def run(folder: Path, *words: str, settings: str = "", port: int = 8050) -> subprocess.CompletedProcess[str]:
    """One verb as a person types it, in a data directory of its own."""
    (folder / "mizugiwa.toml").write_text(settings, "utf-8")
    ours = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "AMQP_URL", "MIZUGIWA_CONFIG")}
    return subprocess.run(
        [sys.executable, "-m", "command.cli", *words],
        cwd=folder,
        env={**ours, "MIZUGIWA_DATA_DIR": str(folder / "data"), "MIZUGIWA_WEB_PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (("up",), "[rules.ais_gap]\nseverity = 'odd'\n", "rule ais_gap: severity"),
        (("up",), "[rules.nosuch]\nx = 1\n", "rule 'nosuch' is not known; choose from ais_gap"),
        (("up",), "[[sources]]\nname = 'a'\nkind = 'radar'\n", "choose from ais, cot, csv, mavlink, replay"),
        (("responder", "--team", "../x"), "", "write small letters, digits and hyphens"),
        (("responder", "--team", "duty", "--lang", "fr"), "", "choose from ja, en"),
        (("responder", "--team", "duty"), "", "run `mizugiwa up`"),
        (("web",), "", "run `mizugiwa up`"),
        (("alerts", "check", "absent.toml"), "", "absent.toml cannot be read"),
        (("alerts", "route", "--explain", "mizugiwa.toml"), "", "mizugiwa.toml: not JSON"),
        (("gateway", "--realm", "Foo"), "", "write live, drill-NAME or replay-NAME"),
        (("replay", "absent.nm4"), "", "absent.nm4"),
        (("areas", "import", "absent.kml"), "", "absent.kml cannot be read"),
        (("areas", "import", "x.shp"), "", "Choose from gpkg, geojson, kml, csv"),
        (("areas", "import", "x.csv", "--kind", "circle"), "", "choose from area_of_interest, geofence"),
        (("export", "people"), "", "choose from areas, facilities, alerts, tracks"),
        (("export", "areas", "--format", "shp"), "", "choose from gpkg, geojson, kml, csv"),
    ],
)
def test_a_mistake_is_told_in_one_line(folder: Path, words: tuple[str, ...], settings: str, said: str) -> None:
    done = run(folder, *words, settings=settings)

    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2
    assert not (folder / "data" / "pg").exists()


def test_an_alert_policy_that_cannot_be_used_is_told_in_one_line(folder: Path) -> None:
    (folder / "alerts.toml").write_text("[route]\ngroup_wait = 5\n", "utf-8")
    done = run(folder, "alerts", "check", "alerts.toml")
    assert "route.group_wait: write a duration" in done.stderr
    assert (done.stderr.count("\n"), done.returncode) == (1, 2)


@pytest.mark.parametrize("name", ["a.nm4", "a.csv", "a.tlog"])
def test_what_is_no_recording_is_refused_before_any_server_is_started(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x00 rubbish \xfe\xfd" * 1_000)

    done = run(folder, "replay", name)

    assert done.stderr.startswith(f"mizugiwa: {name}: ")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2
    assert not (folder / "data").exists()


def test_a_console_port_that_another_program_has_stops_the_start(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run(folder, "up", port=other.getsockname()[1])

    assert "write another port in [web] or MIZUGIWA_WEB_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert not (folder / "data" / "pg").exists()


def test_a_mistake_that_is_found_late_leaves_no_traceback_in_the_log(folder: Path) -> None:
    addresses = 'database_url = "postgresql://u@127.0.0.1:1/d"\namqp_url = "amqp://127.0.0.1:1"\n'

    done = run(folder, "gateway", "--realm", "replay-x", settings=addresses)

    assert "ended by what a person can mend" in done.stderr
    assert done.stderr.endswith("a replay brings its own gateway; run `mizugiwa replay FILE`\n")
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("module", ["typer", "sqlalchemy"], ids=["the command line", "what a verb needs"])
def test_ctrl_c_while_python_still_imports_is_one_line(
    folder: Path, tmp_path: Path, eventually: Callable[..., None], module: str
) -> None:
    # given a package whose import takes long
    (tmp_path / f"{module}.py").write_text(
        "import pathlib, time\npathlib.Path(__file__).with_suffix('.reached').touch()\ntime.sleep(60)\n"
    )
    started = subprocess.Popen(
        # a shell's background jobs do not hear Ctrl-C, nor would what these tests start from one
        ["env", "--default-signal=INT", str(Path(sysconfig.get_path("scripts")) / "mizugiwa"), "up"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MIZUGIWA_DATA_DIR": str(folder / "data")},
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually((tmp_path / f"{module}.reached").exists)
    # when
    started.send_signal(signal.SIGINT)
    # then
    _, told = started.communicate(timeout=30)
    assert (told, started.returncode) == ("mizugiwa: interrupted\n", 130)


def test_areas_come_in_from_a_file_and_everything_goes_out(
    folder: Path, endpoints: Endpoints, database_url: str
) -> None:
    # given a live realm and a table of vertices
    engine = make_engine(database_url)
    migrate(engine)
    ensure_realm(engine, Realm.parse("live"), clock=None)
    with shared_session(engine) as session:
        save_shipped(session, reference_facilities(), 1)
    engine.dispose()
    addresses = f'database_url = "{database_url}"\namqp_url = "{endpoints.amqp_url}"\n'
    (folder / "areas.csv").write_text(
        "name_ja,name_en,kind,position\n厳原湾,Bay,geofence,34 12.0N 129 18.0E\n"
        "厳原湾,Bay,geofence,34 12.0N 129 24.0E\n厳原湾,Bay,geofence,34 18.0N 129 24.0E\n"
    )
    # when it is tried, nothing is done; when it is brought in, it is there
    tried = run(folder, "areas", "import", "areas.csv", "--dry-run", settings=addresses)
    assert tried.stdout.splitlines() == ["2: created bay (厳原湾)", "nothing was changed (--dry-run)"], tried.stderr
    taken = run(folder, "areas", "import", "areas.csv", settings=addresses)
    assert (taken.stdout, taken.returncode) == ("2: created bay (厳原湾)\n", 0)
    # when everything is written out, each file is there, and none is overwritten
    for what, count in (("areas", 1), ("facilities", len(reference_facilities())), ("alerts", 0), ("tracks", 0)):
        done = run(folder, "export", what, "--format", "gpkg", settings=addresses)
        assert done.stdout == f"{count} {what} of live in {what}-live.gpkg\n", done.stderr
        assert (folder / f"{what}-live.gpkg").stat().st_size > 0
    again = run(folder, "export", "areas", "--format", "gpkg", settings=addresses)
    assert (again.returncode, "not there yet" in again.stderr) == (2, True)
    # and what went out comes in again and changes nothing, while a new line is a new facility
    same = run(folder, "facilities", "import", "facilities-live.gpkg", settings=addresses)
    assert {line.split()[1] for line in same.stdout.splitlines()} == {"unchanged"}, same.stderr
    (folder / "own.csv").write_text("name,kind,lat,lon\n倉庫,保税地域,34.2,129.3\n")
    own = run(folder, "facilities", "import", "own.csv", settings=addresses)
    assert (own.stdout, own.returncode) == ("2: created facility (倉庫)\n", 0)
    # when a file is wrong, then every error is a line and the exit code says so
    (folder / "areas.csv").write_text("name_ja,position\nA,95 129\nA,34\nA,34 130\n")
    wrong = run(folder, "areas", "import", "areas.csv", settings=addresses)
    assert wrong.returncode == 1
    assert [line.split(":")[0] for line in wrong.stdout.splitlines()[1:]] == ["2", "3"]


def test_a_person_is_limited_to_areas_of_any_realm_and_to_none_that_there_is_not(
    folder: Path, endpoints: Endpoints, database_url: str
) -> None:
    # given a person, and an area of the live realm
    engine = make_engine(database_url)
    migrate(engine)
    ensure_realm(engine, Realm.parse("live"), clock=None)
    with realm_session(engine, Realm.parse("live")) as session:
        put_area(session, "iki", AreaKind.GEOFENCE, "壱岐", "Iki", box(129.6, 33.7, 129.8, 33.9), "test", 1)
    engine.dispose()
    addresses = f'database_url = "{database_url}"\namqp_url = "{endpoints.amqp_url}"\n'
    run(folder, "users", "add", "mori", "--name", "森", "--role", "officer", settings=addresses)
    # when they are limited to it, the list says so
    done = run(folder, "users", "scope", "mori", "--area", "iki", settings=addresses)
    assert (done.stdout, done.returncode) == ("mori\tiki\n", 0), done.stderr
    assert run(folder, "users", "list", settings=addresses).stdout.splitlines()[-1] == "mori\tofficer\t森\tiki"
    # when it is an area that there is not, or neither way is said, it is one line and nothing changes
    wrong = run(folder, "users", "scope", "mori", "--area", "atlantis", settings=addresses)
    assert (wrong.returncode, "atlantis" in wrong.stderr) == (2, True)
    assert "--whole-coast" in run(folder, "users", "scope", "mori", settings=addresses).stderr
    # and the whole coast is theirs again
    assert run(folder, "users", "scope", "mori", "--whole-coast", settings=addresses).stdout == "mori\twhole coast\n"


def test_rules_are_listed_shown_told_and_undone_at_the_terminal(
    folder: Path, endpoints: Endpoints, database_url: str
) -> None:
    # given a rule of the settings file that an officer has changed
    engine, live = make_engine(database_url), Realm.parse("live")
    migrate(engine)
    ensure_realm(engine, live, clock=None)
    with realm_session(engine, live) as session:
        put_rule(session, "geofence_dwell", {}, "settings", 1)
        put_rule(session, "geofence_dwell", {"after_s": 3_600}, "mori", 2, by_person=True, reason="ferry")
    engine.dispose()
    addresses = f'database_url = "{database_url}"\namqp_url = "{endpoints.amqp_url}"\nlanguage = "en"\n'
    # when the administrator looks at it, it says what holds, who decided it and what that changed
    listed = run(folder, "rules", "list", settings=addresses)
    assert listed.stdout.split("\t")[:4] == ["geofence_dwell", "Geofence dwell", "On", "v2"], listed.stderr
    assert "after_s\tA dwell after\t1 h" in run(folder, "rules", "show", "geofence_dwell", settings=addresses).stdout
    # when they bring the older version back, the history has all three
    undone = run(folder, "rules", "undo", "geofence_dwell", "1", "--reason", "no ferry", settings=addresses)
    assert (undone.returncode, undone.stdout.split("\t")[0]) == (0, "v3"), undone.stderr
    history = run(folder, "rules", "history", "geofence_dwell", settings=addresses).stdout.splitlines()
    assert [line.split("\t")[0] for line in history if not line.startswith(" ")] == ["v3", "v2", "v1"]
    assert "    A dwell after: 30 min → 1 h" in history
    # and what cannot be run again is one line
    wrong = run(folder, "rules", "backtest", "geofence_dwell", "--from", "soon", "--to", "later", settings=addresses)
    assert (wrong.returncode, wrong.stderr.count("\n"), "2026-11-22T18:00" in wrong.stderr) == (2, 1, True)
