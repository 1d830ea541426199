"""Where PostGIS and RabbitMQ are: the ones named by settings, else private servers in a data directory."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path


class ServiceMissing(RuntimeError):
    """A server is not there and cannot be started; the text says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """database_url: libpq DSN or URL. amqp_url: `amqp://user:password@host:port`, no vhost.
    management_url: RabbitMQ's HTTP API, where vhosts are made; None where it is not known."""

    database_url: str
    amqp_url: str
    management_url: str | None = None


def ensure_services(data_dir: Path, *, database_url: str | None, amqp_url: str | None) -> Endpoints:
    if database_url is None or amqp_url is None:
        raise ServiceMissing("private servers are not built yet: set DATABASE_URL and AMQP_URL")
    parts = urllib.parse.urlsplit(amqp_url)
    return Endpoints(
        database_url=database_url,
        amqp_url=amqp_url,
        management_url=f"http://{parts.username}:{parts.password}@{parts.hostname}:{(parts.port or 5672) + 1}",
    )


def stop_services(data_dir: Path) -> None:
    """Nothing yet."""


def _management(endpoints: Endpoints, method: str, path: str, body: object = None) -> None:
    if endpoints.management_url is None:
        raise ServiceMissing("no management API")
    parts = urllib.parse.urlsplit(endpoints.management_url)
    request = urllib.request.Request(  # noqa: S310 - the address is ours
        f"http://{parts.hostname}:{parts.port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": "Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode(),
        },
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass


def ensure_vhost(endpoints: Endpoints, vhost: str) -> None:
    user = urllib.parse.urlsplit(endpoints.amqp_url).username or "guest"
    _management(endpoints, "PUT", f"/api/vhosts/{urllib.parse.quote(vhost, safe='')}")
    _management(
        endpoints,
        "PUT",
        f"/api/permissions/{urllib.parse.quote(vhost, safe='')}/{user}",
        {"configure": ".*", "write": ".*", "read": ".*"},
    )


def delete_vhost(endpoints: Endpoints, vhost: str) -> None:
    _management(endpoints, "DELETE", f"/api/vhosts/{urllib.parse.quote(vhost, safe='')}")
