"""Where PostGIS and RabbitMQ are: the ones named by settings, else private servers in a data directory."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from command.services.account import check_reachable, server_account
from command.services.errors import ServiceMissing
from command.services.postgres import Postgres
from command.services.rabbitmq import RabbitMQ, request_management


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """database_url: libpq DSN or URL. amqp_url: `amqp://user:password@host:port`, no vhost.

    management_url: RabbitMQ's HTTP API, through which vhosts are made; None for a broker of which only
    AMQP_URL is known: there the vhosts must be made by its administrator.
    """

    database_url: str
    amqp_url: str
    management_url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateServers:
    """The servers that this program runs itself in a data directory; None where settings name another."""

    postgres: Postgres | None
    rabbitmq: RabbitMQ | None

    @classmethod
    def of(cls, data_dir: Path, *, database_url: str | None, amqp_url: str | None) -> PrivateServers:
        if database_url is not None and amqp_url is not None:
            return cls(postgres=None, rabbitmq=None)
        account = server_account()
        check_reachable(data_dir, account)
        return cls(
            postgres=None if database_url is not None else Postgres(data_dir / "pg", account),
            rabbitmq=None if amqp_url is not None else RabbitMQ(data_dir / "mq", account),
        )

    def start(self) -> None:
        """Start what does not run; what runs already (also an orphan of a killed run) is adopted."""
        if self.postgres is not None:
            self.postgres.start()
        if self.rabbitmq is not None:
            self.rabbitmq.start()

    def stop(self) -> None:
        if self.rabbitmq is not None:
            self.rabbitmq.stop()
        if self.postgres is not None:
            self.postgres.stop()

    def down(self) -> list[str]:
        """The names of private servers that do not run."""
        servers = (("postgresql", self.postgres), ("rabbitmq", self.rabbitmq))
        return [name for name, server in servers if server is not None and server.process() is None]


def ensure_services(
    data_dir: Path, *, database_url: str | None, amqp_url: str | None, management_url: str | None = None
) -> Endpoints:
    """Start what is needed and say where it is. Idempotent. Raises ServiceMissing with what to do."""
    data_dir.mkdir(parents=True, exist_ok=True)
    PrivateServers.of(data_dir, database_url=database_url, amqp_url=amqp_url).start()
    return locate_services(data_dir, database_url=database_url, amqp_url=amqp_url, management_url=management_url)


def locate_services(
    data_dir: Path, *, database_url: str | None, amqp_url: str | None, management_url: str | None = None
) -> Endpoints:
    """Where the servers are, running or not. Raises ServiceMissing where none were ever set up."""
    servers = PrivateServers.of(data_dir, database_url=database_url, amqp_url=amqp_url)
    if servers.rabbitmq is not None:
        amqp_url, management_url = servers.rabbitmq.amqp_url, servers.rabbitmq.management_url
    if servers.postgres is not None:
        database_url = servers.postgres.dsn()
    if database_url is None or amqp_url is None:
        raise ServiceMissing("no database or no broker: set DATABASE_URL and AMQP_URL, or neither")
    return Endpoints(database_url=database_url, amqp_url=amqp_url.rstrip("/"), management_url=management_url)


def stop_services(data_dir: Path) -> None:
    """Stop the private servers of a data directory, where there are any. Idempotent."""
    PrivateServers.of(data_dir, database_url=None, amqp_url=None).stop()


def ensure_vhost(endpoints: Endpoints, vhost: str) -> None:
    """Make a realm's vhost where there is a management API; without one the administrator has made it."""
    if endpoints.management_url is None:
        return
    name = urllib.parse.quote(vhost, safe="")
    user = urllib.parse.quote(urllib.parse.urlsplit(endpoints.amqp_url).username or "guest", safe="")
    request_management(endpoints.management_url, "PUT", f"/api/vhosts/{name}", {"default_queue_type": "quorum"})
    request_management(
        endpoints.management_url,
        "PUT",
        f"/api/permissions/{name}/{user}",
        {"configure": ".*", "write": ".*", "read": ".*"},
    )


def delete_vhost(endpoints: Endpoints, vhost: str) -> None:
    """Delete a vhost and everything in it."""
    if endpoints.management_url is not None:
        name = urllib.parse.quote(vhost, safe="")
        request_management(endpoints.management_url, "DELETE", f"/api/vhosts/{name}")
