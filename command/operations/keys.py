"""Keys that stand outside the database, each made at its first use."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

AUDIT_KEY: Final = "audit.key"
CODES_KEY: Final = "codes.key"
_CODES_KEY_BYTES: Final = 32


class BadKey(ValueError):
    """A key file that cannot be used; the text says why and what to do."""


def audit_key(keys_dir: Path) -> Ed25519PrivateKey:
    """The key that signs the audit log's heads (PEM, PKCS 8). Raises BadKey."""
    path = keys_dir / AUDIT_KEY
    pem = kept_secret(
        path,
        lambda: Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise BadKey(f"{path} holds no private key that can be read; put it back from its copy") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"{path} holds another kind of key than Ed25519; put the right one back from its copy")
    return key


def codes_key(keys_dir: Path) -> bytes:
    """The key that the secrets of one-time codes are sealed with (AES-256). Raises BadKey."""
    path = keys_dir / CODES_KEY
    key = kept_secret(path, lambda: secrets.token_bytes(_CODES_KEY_BYTES))
    if len(key) != _CODES_KEY_BYTES:
        raise BadKey(f"{path} has {len(key)} bytes and not {_CODES_KEY_BYTES}; put it back from its copy")
    return key


def public_hex(key: Ed25519PrivateKey) -> str:
    """The 32 bytes of the public key as 64 hexadecimal digits."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def kept_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a file that only we may read (0600), made whole by the first process that asks. Raises BadKey."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            ours = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            descriptor = os.open(ours, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first: its key is everybody's
                path.hardlink_to(ours)
            ours.unlink()
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BadKey(f"{path} can be read by other accounts; take it as known to them, or run: chmod 600 {path}")
        return path.read_bytes()
    except OSError as exc:
        raise BadKey(f"{path} cannot be used ({exc.strerror}); let this account write in {path.parent}") from exc
