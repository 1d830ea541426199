"""Where the broker is, and what its refusals mean to the person who must mend them."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflowFailed, AMQPConnectorException
from pika.exceptions import (
    AMQPError,
    AMQPHeartbeatTimeout,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

HEARTBEAT_S: Final = 15
"""A peer that is silent for this long is taken for dead. Work is done outside the I/O threads, so a busy
process still beats; long enough for a machine that swaps, short enough for an officer who waits."""
_SOCKET_TIMEOUT_S: Final = 5.0
_STACK_TIMEOUT_S: Final = 10.0


class BrokerUnavailable(RuntimeError):
    """RabbitMQ cannot be reached or refuses; the text says what to do."""


class TopologyMismatch(BrokerUnavailable):
    """An exchange or a queue is there with other arguments than the program's."""


def connection_parameters(amqp_url: str, vhost: str, *, name: str) -> Any:
    """pika's parameters for `vhost` of the broker at `amqp_url`.

    amqp_url: `amqp://user:password@host:port` or `amqps://...`, with no vhost in it. Raises ValueError for another.
    `name` is shown in the broker's list of connections. With amqps the broker's certificate must be for that host and
    signed by an authority that is trusted: the machine's, or those of the file `?cacertfile=PATH`; `certfile` and
    `keyfile` are shown to a broker that asks for ours (names as in https://www.rabbitmq.com/docs/uri-query-parameters).
    Raises BrokerUnavailable for files that cannot be used.
    """
    parts = urlsplit(amqp_url)
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or parts.path not in ("", "/"):
        # Not repeated: a password with a slash in it is read as host and path.
        raise ValueError(
            "AMQP_URL is not readable; write amqp://user:password@host:port, without a vhost (a realm has its own) "
            "and with %2F for a slash in the password"
        )
    asked = dict(parse_qsl(parts.query))
    files = {key: asked.pop(key) for key in ("cacertfile", "certfile", "keyfile") if key in asked}
    query = f"?{urlencode(asked)}" if asked else ""
    parameters = pika.URLParameters(f"{parts.scheme}://{parts.netloc}/{quote(vhost, safe='')}{query}")
    if parts.scheme == "amqps":
        parameters.ssl_options = pika.SSLOptions(_tls(**files), parts.hostname)
    elif files:
        raise BrokerUnavailable(f"AMQP_URL has {', '.join(files)} and no TLS; write amqps:// in front")
    parameters.heartbeat = HEARTBEAT_S
    parameters.connection_attempts = 1
    parameters.socket_timeout = _SOCKET_TIMEOUT_S
    parameters.stack_timeout = _STACK_TIMEOUT_S
    parameters.client_properties = {"connection_name": name, "product": "mizugiwa"}
    return parameters


def _tls(cacertfile: str | None = None, certfile: str | None = None, keyfile: str | None = None) -> ssl.SSLContext:
    """What a TLS connection to the broker trusts and shows. Raises BrokerUnavailable for a file that is of no use."""
    try:
        context = ssl.create_default_context(cafile=cacertfile)
        if certfile is not None:
            context.load_cert_chain(certfile, keyfile)
    except OSError as exc:  # ssl.SSLError is one
        told = exc.strerror or type(exc).__name__
        raise BrokerUnavailable(
            f"a certificate or key that AMQP_URL names cannot be used ({told}); give PEM files"
        ) from exc
    return context


def explain(reason: BaseException, parameters: Any) -> str:
    """What happened to a connection with `parameters`, and what to do, in one line without the password."""
    cause = _root(reason)
    where = f"RabbitMQ at {parameters.host}:{parameters.port}, vhost {parameters.virtual_host!r}"
    user = parameters.credentials.username
    match cause:
        case ProbableAuthenticationError() | ConnectionClosedByBroker(reply_code=403):
            what = f"user {user!r} or its password is refused; correct AMQP_URL"
        case ProbableAccessDeniedError() | ConnectionClosedByBroker(reply_code=530):
            what = (
                f"there is no such vhost, or user {user!r} has no permission on it; run `mizugiwa up`, or "
                f"`rabbitmqctl add_vhost {parameters.virtual_host}` and "
                f"`rabbitmqctl set_permissions -p {parameters.virtual_host} {user} '.*' '.*' '.*'`"
            )
        case ChannelClosedByBroker(reply_code=404):
            what = (
                f"{cause.reply_text}; the process that owns it makes it at its start (dispatch those of the teams in "
                "its settings); see `mizugiwa doctor`"
            )
        case ChannelClosedByBroker() if in_exclusive_use(cause):
            what = f"another client has this queue and this one stands by ({cause.reply_text})"
        case ChannelClosedByBroker() | ConnectionClosedByBroker():
            what = f"closed by the broker: {cause.reply_code} {cause.reply_text}; tried again"
        case AMQPHeartbeatTimeout():
            what = f"did not answer for {HEARTBEAT_S} s; tried again, see whether it runs and the line is up"
        case ssl.SSLCertVerificationError():
            what = (
                f"its certificate is not trusted ({cause.verify_message}); name the authority that signed it with "
                "?cacertfile=PATH, and the broker as its certificate does (docs/broker-tls.md)"
            )
        case socket.gaierror():
            what = f"the host name is not known ({cause.strerror}); correct AMQP_URL"
        case _:
            said = str(cause.args[0]) if cause.args and isinstance(cause, AMQPError) else str(cause)
            what = f"cannot be reached ({said or type(cause).__name__}); tried again, see `mizugiwa doctor`"
    return f"{where}: {what}"


def in_exclusive_use(reason: BaseException) -> bool:
    """Whether the broker refused a consumer because another one has the queue for itself."""
    return isinstance(reason, ChannelClosedByBroker) and reason.reply_code == 403 and "exclusive" in reason.reply_text


def _root(reason: BaseException) -> BaseException:
    """What lies under pika's nested connection errors."""
    while True:
        if isinstance(reason, AMQPConnectionWorkflowFailed) and reason.exceptions:
            reason = reason.exceptions[-1]
        elif isinstance(reason, AMQPConnectorException) and isinstance(
            getattr(reason, "exception", None), BaseException
        ):
            reason = reason.exception
        elif (
            type(reason).__name__ == "AMQPConnectionError" and reason.args and isinstance(reason.args[0], BaseException)
        ):
            reason = reason.args[0]
        else:
            return reason
