"""An OpenID Connect provider: the only place with Authlib. Code flow with PKCE; what a token says is checked here.

OpenID Connect Core 1.0 section 3.1, OpenID Connect Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (issuer in the answer).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests import RequestException, Response
from requests.adapters import HTTPAdapter

CONNECT_S: Final = 3.0
READ_S: Final = 5.0
ANSWER_BYTES: Final = 256 * 1024
AT_ONCE: Final = 4
"""So many threads may wait for a provider; a slow one must not take those that the console works with."""
_KEPT_S: Final = 600.0
_KEYS_AGAIN_S: Final = 30.0
_LEEWAY_S: Final = 60
_ALGORITHMS: Final = frozenset(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512))
"""Signatures by a key that only the provider has; never `none`, never one made with a shared secret."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ProviderAway(Exception):
    """The provider does not answer, or not as one; the text says how."""


class ProviderRefused(Exception):
    """What came from the provider proves nothing; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """How the provider knows us. client_secret: None for a public client. ca: PEM of who signed its certificate."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    scope: str
    ca: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    at_s: float
    metadata: Mapping[str, Any]
    keys: KeySet


class _Bounded(HTTPAdapter):
    """Every answer has an end, in bytes and in time."""

    def send(self, *args: Any, **kwargs: Any) -> Response:
        kwargs |= {"stream": True, "timeout": (CONNECT_S, READ_S)}
        answer, until_s, body = super().send(*args, **kwargs), monotonic() + READ_S, bytearray()
        for chunk in answer.iter_content(16_384):
            body += chunk
            if len(body) > ANSWER_BYTES or monotonic() > until_s:
                answer.close()
                raise ProviderAway(f"an answer of more than {ANSWER_BYTES} bytes or {READ_S:.0f} s")
        answer._content = bytes(body)  # where requests itself keeps what was read
        return answer


class Provider:
    """One provider. Every method may raise ProviderAway and waits for seconds at most; call them in a thread."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self._at_once = threading.BoundedSemaphore(AT_ONCE)
        self._known: _Known | None = None

    def sign_in_at(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where a browser signs in."""
        endpoint = self._endpoint(self._ask().metadata, "authorization_endpoint")
        with self._session() as session:
            address, _ = session.create_authorization_url(endpoint, state=state, nonce=nonce, code_verifier=verifier)
        return str(address)

    def claims(self, code: str, *, nonce: str, verifier: str) -> Mapping[str, Any]:
        """Exchange a code for an ID token and read it. Raises ProviderRefused where it proves nothing."""
        known = self._ask()
        try:
            with self._waiting(), self._session() as session:
                token = session.fetch_token(
                    self._endpoint(known.metadata, "token_endpoint"), code=code, code_verifier=verifier
                )
        except RequestException as exc:
            raise ProviderAway(f"{self.registration.issuer}: {exc}") from exc
        except (AuthlibBaseError, ValueError) as exc:
            raise ProviderRefused(f"no token for the code: {exc}") from exc
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise ProviderRefused("the answer has no ID token")
        return self._checked(id_token, known, nonce=nonce, access_token=token.get("access_token"))

    def check(self) -> str:
        """Ask the provider who it is, for `doctor`; its issuer."""
        return str(self._read().metadata["issuer"])

    def _checked(self, id_token: str, known: _Known, *, nonce: str, access_token: object) -> Mapping[str, Any]:
        ours = self.registration
        offered = known.metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = sorted(_ALGORITHMS & {str(each) for each in offered})
        try:
            try:
                token = jwt.decode(id_token, known.keys, algorithms=algorithms)
            except (JoseError, ValueError):
                if monotonic() - known.at_s < _KEYS_AGAIN_S:
                    raise
                # a provider may have changed its keys since we read them
                token = jwt.decode(id_token, self._read().keys, algorithms=algorithms)
            said = CodeIDToken(
                token.claims,
                token.header,
                {"iss": {"essential": True, "value": ours.issuer}, "aud": {"essential": True}},
                {"nonce": nonce, "client_id": ours.client_id, "access_token": access_token},
            )
            said.validate(leeway=_LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError) as exc:
            raise ProviderRefused(f"the ID token: {exc}") from exc
        for_whom = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
        if ours.client_id not in for_whom:
            raise ProviderRefused("the ID token is for another client")
        if not isinstance(said["sub"], str) or not 0 < len(said["sub"]) <= 255:
            raise ProviderRefused("the ID token names nobody")
        return dict(said)

    def _ask(self) -> _Known:
        known = self._known
        return known if known is not None and monotonic() - known.at_s < _KEPT_S else self._read()

    def _read(self) -> _Known:
        issuer = self.registration.issuer
        metadata = self._json(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            raise ProviderAway(f"{issuer} calls itself {str(metadata.get('issuer'))[:200]!r}; correct the issuer")
        try:
            keys = KeySet.import_key_set(self._json(self._endpoint(metadata, "jwks_uri")))  # type: ignore[arg-type]
        except (JoseError, ValueError, TypeError, KeyError) as exc:
            raise ProviderAway(f"{issuer} gives no keys that can be read: {exc}") from exc
        self._known = _Known(at_s=monotonic(), metadata=metadata, keys=keys)
        return self._known

    def _json(self, address: str) -> Mapping[str, Any]:
        try:
            with self._waiting(), self._session() as session:
                answer = session.request("GET", address, withhold_token=True)
                answer.raise_for_status()
                found = answer.json()
        except (RequestException, ValueError) as exc:
            raise ProviderAway(f"{address} does not answer as a provider: {exc}") from exc
        if not isinstance(found, dict):
            raise ProviderAway(f"{address} does not answer as a provider: no JSON object")
        return found

    def _endpoint(self, metadata: Mapping[str, Any], name: str) -> str:
        address = str(metadata.get(name, ""))
        parts = urlsplit(address)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ProviderAway(f"{self.registration.issuer} gives {address[:200]!r} as {name}; it has to be https")
        return address

    def _session(self) -> Any:
        ours = self.registration
        session = OAuth2Session(
            ours.client_id,
            ours.client_secret,
            scope=ours.scope,
            redirect_uri=ours.redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="none" if ours.client_secret is None else "client_secret_basic",
        )
        session.trust_env = False
        session.max_redirects = 0
        session.verify = True if ours.ca is None else str(ours.ca)
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Bounded())
        return session

    def _waiting(self) -> _Turn:
        return _Turn(self._at_once)


class _Turn:
    """One of those who may wait for the provider."""

    def __init__(self, at_once: threading.BoundedSemaphore) -> None:
        self._at_once = at_once

    def __enter__(self) -> None:
        if not self._at_once.acquire(blocking=False):
            raise ProviderAway("others wait for it already")

    def __exit__(self, *_: object) -> None:
        self._at_once.release()
