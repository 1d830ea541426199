"""One-time codes (TOTP, RFC 6238) and recovery codes: made, sealed, drawn and checked. No store."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import pyotp
import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from command.domain.clock import US_PER_S

STEP_S: Final = 30
STEPS_AROUND: Final = 1
"""A code counts one step early and late too: clocks of telephones differ (RFC 6238, section 5.2)."""
RECOVERY_CODES: Final = 10
ISSUER: Final = "Mizugiwa"
_NONCE_BYTES: Final = 12
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_GROUPS: Final = 4
_GROUP: Final = 4


class KeyLost(ValueError):
    """The key does not open a secret that was sealed with another."""


@dataclass(frozen=True, slots=True)
class CodeKey:
    """Seals secrets (AES-256-GCM, NIST SP 800-38D) for one person each: another's opens nothing."""

    key: bytes

    def seal(self, secret: str, user_id: uuid.UUID) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.key).encrypt(nonce, secret.encode(), user_id.bytes)

    def open(self, sealed: bytes, user_id: uuid.UUID) -> str:
        """Raises KeyLost."""
        try:
            return AESGCM(self.key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], user_id.bytes).decode()
        except InvalidTag as exc:
            raise KeyLost("codes.key is not the one that sealed this secret; put it back from its copy") from exc


def new_secret() -> str:
    """160 random bits as base32 (RFC 4226, section 4)."""
    return pyotp.random_base32(32)


def right_step(secret: str, code: str, *, now_us: int, after_step: int) -> int | None:
    """The step that a code belongs to; None where it is wrong, or not later than after_step: it was used."""
    now = now_us // US_PER_S // STEP_S
    totp, found = pyotp.TOTP(secret), None
    for step in range(now - STEPS_AROUND, now + STEPS_AROUND + 1):
        # every step is looked at, so that how long it takes tells nothing
        right = hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "replace"))
        if right and step > after_step and found is None:
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Codes of 79 random bits each, as `2f7k-...`."""
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def recovery_hash(code: str) -> bytes:
    """32 bytes, whatever hyphens, spaces and capitals it was typed with."""
    kept = "".join(c for c in code.casefold() if c.isalnum())
    return hashlib.sha256(kept.encode("utf-8", "replace")).digest()


def is_one_time(code: str) -> bool:
    """Six digits: a one-time code and no recovery code."""
    return len(code) == 6 and code.isdecimal()


def uri(secret: str, login: str) -> str:
    """What an authenticator reads (Key URI Format)."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def qr_svg(content: str) -> str:
    """A QR code (ISO/IEC 18004) as an SVG document, dark on white, with its quiet zone."""
    drawn = BytesIO()
    segno.make(content, error="m", micro=False).save(
        drawn, kind="svg", scale=5, border=4, dark="#000", light="#fff", xmldecl=False, svgclass=None, lineclass=None
    )
    return drawn.getvalue().decode()
