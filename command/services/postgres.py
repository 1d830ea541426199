"""A private PostGIS cluster: whatever the version, only a socket in a 0700 folder, peer authentication."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from command.services.account import Account
from command.services.errors import ServiceMissing
from command.services.process import recall, remember, start_detached, stop

ROLE: Final = "mizugiwa"
DATABASE: Final = "mizugiwa"
PACKAGES: Final = ("postgresql", "postgresql-postgis")
_LONGEST_SOCKET_PATH: Final = 107
"""sun_path of sockaddr_un holds 108 bytes with its NUL (unix(7))."""
_READY_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    folder: Path
    version: int


def find_postgres(roots: Sequence[Path] = (Path("/usr/lib/postgresql"),)) -> PostgresBinaries:
    """The newest PostgreSQL that has PostGIS. Raises ServiceMissing with the install line."""
    found = []
    for root in roots:
        for folder in root.glob("*/bin"):
            version = folder.parent.name
            extension = Path("/usr/share/postgresql") / version / "extension" / "postgis.control"
            if re.fullmatch(r"\d+", version) and (folder / "initdb").exists() and extension.exists():
                found.append(PostgresBinaries(folder, int(version)))
    if not found:
        raise ServiceMissing(
            "PostgreSQL with PostGIS is not installed; run `make up` once, "
            "or: apt-get install --no-install-recommends postgresql-postgis"
        )
    return max(found, key=lambda binaries: binaries.version)


class Postgres:
    """The cluster in `home`. All calls are idempotent."""

    def __init__(self, home: Path, account: Account) -> None:
        self.home = home
        self.data = home / "data"
        self.sockets = home / "s"
        self.account = account
        if len(str(self.sockets / ".s.PGSQL.5432")) > _LONGEST_SOCKET_PATH:
            raise ServiceMissing(
                f"{self.sockets} is too long a path for a socket (Linux allows {_LONGEST_SOCKET_PATH} bytes); "
                "choose a shorter MIZUGIWA_DATA_DIR"
            )

    def dsn(self, database: str = DATABASE) -> str:
        return f"host={self.sockets} dbname={database} user={ROLE}"

    def process(self) -> psutil.Process | None:
        """The running postmaster: by our record, else by the pid file of a postmaster started some other way."""
        known = recall(self.home / "postmaster.json")
        if known is not None:
            return known
        try:
            process = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            return process if process.name() == "postgres" and process.ppid() != os.getpid() else None
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None

    def start(self) -> None:
        """Create the cluster where there is none, start it where it does not run, and wait until it answers."""
        binaries = find_postgres()
        for folder in (self.home, self.sockets):
            self.account.own(folder)
        if not (self.data / "PG_VERSION").exists():
            self._create(binaries)
        made_by = int((self.data / "PG_VERSION").read_text())
        if made_by != binaries.version:
            binaries = PostgresBinaries(Path(f"/usr/lib/postgresql/{made_by}/bin"), made_by)
            if not (binaries.folder / "postgres").exists():
                raise ServiceMissing(
                    f"the data in {self.data} was made by PostgreSQL {made_by}, which is not installed; "
                    f"run: apt-get install --no-install-recommends postgresql-{made_by}-postgis-3"
                )
        self._configure()
        deadline = time.monotonic() + _READY_WITHIN_S
        while self.process() is None or not self._answers(binaries):
            if self.process() is None:
                # After kill -9 the old backends hold their shared memory for a moment and the new postmaster
                # refuses it; so a start that ends at once is tried again until the deadline.
                started = start_detached(
                    [str(binaries.folder / "postgres"), "-D", str(self.data)],
                    account=self.account,
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                    cwd=self.data,
                    output=self.home / "server.log",
                )
                remember(self.home / "postmaster.json", started.pid)
                while started.poll() is None and not self._answers(binaries) and time.monotonic() < deadline:
                    time.sleep(0.05)
            if time.monotonic() > deadline:
                raise ServiceMissing(f"PostgreSQL did not start; read the end of {self.home / 'server.log'}")
            time.sleep(0.05)
        self._create_database(binaries)

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, nothing committed is lost."""
        process = self.process()
        if process is not None:
            stop(process, within_s=30.0, sig=signal.SIGINT)

    def _run(self, binaries: PostgresBinaries, program: str, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - argv is ours, no shell
            [str(binaries.folder / program), *arguments],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.home)},
            cwd=self.home,
            check=False,
            timeout=120,
            **self.account.drop,
        )
        if done.returncode != 0:
            raise ServiceMissing(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _create(self, binaries: PostgresBinaries) -> None:
        self._run(
            binaries,
            "initdb",
            f"--pgdata={self.data}",
            f"--username={ROLE}",
            "--auth=peer",
            "--locale=C.UTF-8",
            "--encoding=UTF8",
            "--data-checksums",
        )

    def _configure(self) -> None:
        """Our settings, written at every start, so that an upgrade of the program brings its own."""
        people = {self.account.name, pwd.getpwuid(os.geteuid()).pw_name}
        self.account.write(self.data / "pg_hba.conf", "local all all peer map=mizugiwa\n")
        self.account.write(self.data / "pg_ident.conf", "".join(f"mizugiwa {name} {ROLE}\n" for name in sorted(people)))
        self.account.write(
            self.data / "postgresql.auto.conf",
            "\n".join(
                (
                    "listen_addresses = ''",
                    f"unix_socket_directories = '{self.sockets}'",
                    "unix_socket_permissions = 0700",
                    "max_connections = 120",
                    "shared_buffers = '256MB'",
                    "max_wal_size = '2GB'",
                    "checkpoint_completion_target = 0.9",
                    "jit = off",
                    "timezone = 'UTC'",
                    "log_timezone = 'UTC'",
                    "cluster_name = 'mizugiwa'",
                    "",
                )
            ),
        )

    def _answers(self, binaries: PostgresBinaries) -> bool:
        done = subprocess.run(  # noqa: S603 - argv is ours, no shell
            [str(binaries.folder / "pg_isready"), "-q", "-h", str(self.sockets), "-U", ROLE, "-d", "postgres"],
            check=False,
            timeout=30,
        )
        return done.returncode == 0

    def _create_database(self, binaries: PostgresBinaries) -> None:
        reach = ("-h", str(self.sockets), "-U", ROLE)
        databases = self._run(binaries, "psql", *reach, "-d", "postgres", "-Atqc", "SELECT datname FROM pg_database")
        if DATABASE not in databases.splitlines():
            self._run(binaries, "createdb", *reach, DATABASE)
        self._run(binaries, "psql", *reach, "-d", DATABASE, "-qc", "CREATE EXTENSION IF NOT EXISTS postgis")
