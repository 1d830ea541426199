"""TLS to a server that we connect to: whom we believe, who we are, and what went wrong in words that say what to do."""

from __future__ import annotations

import ssl
from typing import Final

from sensors.endpoint import TlsLinkConfig

_EXPIRED: Final = frozenset({9, 10})
_OTHER_NAME: Final = frozenset({62, 64})
_NOT_TRUSTED: Final = frozenset({2, 18, 19, 20, 21, 24, 25, 26, 27, 28})
"""verify_code of OpenSSL (x509_vfy.h): not valid yet and expired; another host name and IP address; issuer not found,
self-signed, not a CA, not for this use, rejected."""
_OURS_REFUSED: Final = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "HANDSHAKE_FAILURE",
    "ACCESS_DENIED",
)
"""What a server's alert is called that wants another certificate of ours (RFC 8446, section 6.2), after ALERT_."""


def client_context(config: TlsLinkConfig) -> ssl.SSLContext:
    """TLS 1.2 or later, the server's certificate and name checked. Raises ConnectionError for files of no use."""
    try:
        context = ssl.create_default_context(cafile=config.tls_ca)
    except OSError as exc:
        raise ConnectionError(
            f"tls_ca {config.tls_ca} cannot be used ({_short(exc)}); name a file of PEM certificates"
        ) from exc
    if config.tls_certificate is None:
        return context
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key, password=_password(config))
    except (OSError, ValueError) as exc:
        raise ConnectionError(
            f"tls_certificate {config.tls_certificate} with tls_key {config.tls_key} cannot be used ({_short(exc)}); "
            "name PEM files that belong together, and tls_key_password_file where the key has a password"
        ) from exc
    return context


def why_tls_failed(exc: Exception, config: TlsLinkConfig) -> str:
    """What to do about it."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _why_not_believed(exc, config)
    reason = getattr(exc, "reason", None) or ""
    if "ALERT" in reason and reason.endswith(_OURS_REFUSED):
        ours = "we have none" if config.tls_certificate is None else f"ours is {config.tls_certificate}"
        todo = "set tls_certificate and tls_key to what it gave out"
        return f"the server wants another certificate of us ({reason}; {ours}); {todo}"
    if isinstance(exc, ssl.SSLError):
        return f"no TLS came about ({_short(exc)}); is this the server's TLS port?"
    return str(exc)


def _why_not_believed(exc: ssl.SSLCertVerificationError, config: TlsLinkConfig) -> str:
    said = exc.verify_message
    if exc.verify_code in _EXPIRED:
        return f"the server's certificate is out of date ({said}); renew it there, or set this machine's clock"
    if exc.verify_code in _OTHER_NAME:
        return f"the server's certificate is for another name ({said}); set tls_name to the one that it has"
    if exc.verify_code in _NOT_TRUSTED:
        where = "this machine's authorities" if config.tls_ca is None else f"tls_ca {config.tls_ca}"
        return f"the server's certificate is not from {where} ({said}); set tls_ca to the authority that made it"
    return f"the server's certificate is refused ({said})"


def _password(config: TlsLinkConfig) -> str | None:
    """An empty one rather than none: without it OpenSSL would ask at the terminal."""
    if config.tls_key_password_file is None:
        return ""
    lines = config.tls_key_password_file.read_text("utf-8").splitlines()
    return lines[0] if lines else ""


def _short(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLError):
        return exc.reason or "not PEM"
    return str(getattr(exc, "strerror", None) or exc)
