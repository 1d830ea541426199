"""Who the private servers run as: an unprivileged user, never root."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from command.services.errors import ServiceMissing

SYSTEM_ACCOUNT: Final = "mizugiwa"


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The operating-system account of the servers."""

    name: str
    uid: int
    gid: int

    @property
    def drop(self) -> dict[str, Any]:
        """Arguments for subprocess.Popen that give up root; none where we are not root."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, directory: Path) -> Path:
        """Make `directory` (0700) and give it to the account."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(directory, self.uid, self.gid)
        return directory

    def write(self, path: Path, content: str) -> None:
        """Write a file that only the account (and root) may read."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            if os.geteuid() == 0:
                os.fchown(file.fileno(), self.uid, self.gid)
            file.write(content)


def server_account() -> Account:
    """Ourselves, or the system account `mizugiwa` when we are root. Raises ServiceMissing."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
    else:
        try:
            entry = pwd.getpwnam(SYSTEM_ACCOUNT)
        except KeyError as exc:
            raise ServiceMissing(
                f"PostgreSQL and RabbitMQ do not run as root and the account {SYSTEM_ACCOUNT!r} is missing; "
                f"run: useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {SYSTEM_ACCOUNT}"
            ) from exc
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=grp.getgrgid(entry.pw_gid).gr_gid)


def check_reachable(data_dir: Path, account: Account) -> None:
    """Raises ServiceMissing where the account cannot pass through the folders above `data_dir`."""
    if os.geteuid() != 0:
        return
    for parent in data_dir.resolve().parents:
        if not parent.exists():
            continue
        status = parent.stat()
        passable = status.st_mode & 0o001 or (status.st_uid == account.uid and status.st_mode & 0o100)
        if not passable:
            raise ServiceMissing(
                f"the account {account.name!r} cannot reach {data_dir}: {parent} is closed to it; "
                "choose another place with MIZUGIWA_DATA_DIR (root's default is /var/lib/mizugiwa)"
            )
