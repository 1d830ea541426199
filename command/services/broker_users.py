"""Users of a RabbitMQ broker and what each may do, through its management HTTP API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from dataclasses import dataclass
from typing import Any, Final

from command.services.errors import ServiceMissing
from command.services.rabbitmq import ManagementRefused, request_management

_SALT_BYTES: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a user may do in a vhost: regular expressions over the names of exchanges and queues, and over routing keys
    of one topic exchange (https://www.rabbitmq.com/docs/access-control).
    """

    configure: str
    write: str
    read: str
    topic_exchange: str
    topic_write: str
    topic_read: str


class BrokerUsers:
    """The users of one broker. Every call may raise ServiceMissing."""

    def __init__(self, management_url: str) -> None:
        self._url = management_url

    def named(self, prefix: str) -> dict[str, str]:
        """Users whose names begin so, each with the hash of its password."""
        found = self._ask("GET", "/api/users") or []
        return {user["name"]: user.get("password_hash", "") for user in found if user["name"].startswith(prefix)}

    def put(self, user: str, password: str) -> None:
        """Make the user, or give it this password. It has no tag: no management, and no name but its own."""
        self._ask("PUT", f"/api/users/{_quoted(user)}", {"password": password, "tags": ""})

    def delete(self, user: str) -> None:
        self._ask("DELETE", f"/api/users/{_quoted(user)}")

    def has_vhost(self, vhost: str) -> bool:
        return self._find(f"/api/vhosts/{_quoted(vhost)}") is not None

    def access(self, user: str, vhost: str) -> Access | None:
        """What the user may do in the vhost; None where it has no access, or to more than one topic exchange."""
        rights = self._find(f"/api/permissions/{_quoted(vhost)}/{_quoted(user)}")
        topics = self._find(f"/api/topic-permissions/{_quoted(vhost)}/{_quoted(user)}")
        topics = [topics] if isinstance(topics, dict) else topics or []
        if rights is None or len(topics) != 1:
            return None
        return Access(
            configure=rights["configure"],
            write=rights["write"],
            read=rights["read"],
            topic_exchange=topics[0]["exchange"],
            topic_write=topics[0]["write"],
            topic_read=topics[0]["read"],
        )

    def grant(self, user: str, vhost: str, access: Access) -> None:
        """Let the user do this in the vhost and nothing else. The routing keys come first: between the two calls it
        has less, never more.
        """
        place = f"{_quoted(vhost)}/{_quoted(user)}"
        self._ask("DELETE", f"/api/topic-permissions/{place}", missing_is_fine=True)
        topic = {"exchange": access.topic_exchange, "write": access.topic_write, "read": access.topic_read}
        self._ask("PUT", f"/api/topic-permissions/{place}", topic)
        rights = {"configure": access.configure, "write": access.write, "read": access.read}
        self._ask("PUT", f"/api/permissions/{place}", rights)

    def _find(self, path: str) -> Any:
        return self._ask("GET", path, missing_is_fine=True)

    def _ask(self, method: str, path: str, body: object = None, *, missing_is_fine: bool = False) -> Any:
        try:
            return request_management(self._url, method, path, body)
        except ManagementRefused as exc:
            if exc.status == 404 and missing_is_fine:
                return None
            if exc.status == 401:
                raise ServiceMissing(
                    "RabbitMQ's management API refuses the user in AMQP_MANAGEMENT_URL; it needs one with the tag "
                    "administrator: rabbitmqctl set_user_tags USER administrator"
                ) from exc
            raise


def password_is(password: str, password_hash: str) -> bool:
    """Whether a hash is of this password: base64 of 4 bytes of salt and SHA-256 of salt and password, the broker's
    default (https://www.rabbitmq.com/docs/passwords).
    """
    try:
        raw = base64.b64decode(password_hash, validate=True)
    except ValueError:
        return False
    salt, digest = raw[:_SALT_BYTES], raw[_SALT_BYTES:]
    return hmac.compare_digest(hashlib.sha256(salt + password.encode()).digest(), digest)


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
