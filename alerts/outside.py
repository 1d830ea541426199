"""Lines from channels to other systems: TLS that is verified, and an end to everything, however slow the other side."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Final
from urllib.parse import SplitResult, urlsplit

from alerts.channel import NeverAgain, NotNow

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
MAX_ANSWER_BYTES: Final = 4_096
"""More of an answer is not read: a sentence of it is shown to people, no more."""
_NEVER: Final = frozenset({400, 406, 410, 413, 415, 422})
"""The message itself is refused, or the receiver says that it is gone for good (RFC 9110, section 15.5). All else
somebody can mend at one end without changing the message."""
_LONGEST_ASKED_S: Final = 3_600.0


def private_url(url: str) -> SplitResult:
    """The parts of an https URL, or of an http one to this machine. Raises ValueError that says what to write."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
        raise ValueError("write https://host/path")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("write https; http is for this machine only")
    if parts.username is not None or parts.password is not None:
        raise ValueError("write no user or password into the URL; a secret belongs into secret_file")
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise ValueError("write the URL in ASCII; other letters as %XX")
    parts.port  # noqa: B018 - raises ValueError for a port that is none
    return parts


def destination(url: str) -> str:
    """Where a URL leads to, without its query."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{_port(parts)}{parts.path or '/'}"


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def trusting(ca_certificate: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later with the other side's certificate and name checked. Raises NotNow for a file of no use."""
    try:
        return ssl.create_default_context(cafile=ca_certificate)
    except OSError as exc:
        raise NotNow(f"ca_certificate {ca_certificate} cannot be used ({exc}); name a file of PEMs") from exc


@contextmanager
def ended_after(sock: socket.socket, timeout_s: float) -> Iterator[None]:
    """Within the block the connection lives `timeout_s` at the longest: time-outs of single reads do not end one
    that trickles.
    """
    twin = sock.dup()  # stays valid when TLS takes the socket over
    timer = threading.Timer(timeout_s, lambda: _shut(twin))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        twin.close()


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was quicker


def why(exc: BaseException) -> str:
    """What went wrong on a line, in one short sentence that says what to do where that is known."""
    match exc:
        case ssl.SSLCertVerificationError():
            said = f"its certificate is not trusted ({exc.verify_message}); set ca_certificate, or mend it there"
        case TimeoutError():
            said = "no answer in time"
        case socket.gaierror():
            said = f"the host name is not known ({exc.strerror})"
        case ConnectionRefusedError():
            said = "nothing listens there (connection refused)"
        case ssl.SSLError():
            said = f"TLS failed ({exc.reason or exc})"
        case OSError():
            said = exc.strerror or str(exc)
        case _:
            said = str(exc)
    return said or type(exc).__name__


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """Where an HTTP channel sends to."""

    url: str
    ca_certificate: Path | None
    timeout_s: float

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """POST. Nothing is followed, no proxy is asked, no cookie kept. Raises NotNow, NeverAgain."""
        parts = private_url(self.url)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", _port(parts)
        try:
            context = trusting(self.ca_certificate) if secure else None
            plain = socket.create_connection((host, port), timeout=self.timeout_s)
            with plain, ended_after(plain, self.timeout_s):
                line = plain if context is None else context.wrap_socket(plain, server_hostname=host)
                with line:
                    answer, said = self._ask(line, parts, body, headers)
        except (OSError, http.client.HTTPException) as exc:
            raise NotNow(f"{parts.hostname}: {why(exc)}") from exc
        _judge(answer, said)

    def _ask(
        self, line: socket.socket, parts: SplitResult, body: bytes, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection(parts.hostname or "", timeout=self.timeout_s)
        connection.sock = line
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fixed = {"Host": parts.netloc, "User-Agent": "mizugiwa", "Connection": "close"}
        connection.request("POST", target, body=body, headers=fixed | dict(headers))
        answer = connection.getresponse()
        return answer, answer.read(MAX_ANSWER_BYTES).decode("utf-8", "replace")


def _judge(answer: http.client.HTTPResponse, said: str) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    words = " ".join(said.split())[:200]
    told = f"HTTP {status} {answer.reason}" + (f": {words}" if words else "")
    if status in _NEVER:
        raise NeverAgain(told)
    if 300 <= status < 400:
        where = (answer.headers.get("Location") or "")[:200]
        raise NotNow(f"{told}; redirects are not followed: write the final URL into the settings (it names {where!r})")
    raise NotNow(told, retry_after_s=_retry_after_s(answer.headers.get("Retry-After")))


def _retry_after_s(value: str | None) -> float | None:
    """Seconds or a date (RFC 9110, section 10.2.3), an hour at most; None where it says nothing that can be read."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_ASKED_S)
    try:
        asked_s = parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, asked_s), _LONGEST_ASKED_S)
