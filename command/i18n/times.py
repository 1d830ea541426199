"""Times as officers write them: JST first."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Final

from command.domain.clock import from_us

JST: Final = timezone(timedelta(hours=9), "JST")


def jst(us: int) -> str:
    """`2026-11-22 08:41:12 JST (23:41Z)`."""
    moment = from_us(us)
    return f"{moment.astimezone(JST):%Y-%m-%d %H:%M:%S} JST ({moment:%H:%M}Z)"


def jst_minute(us: int) -> str:
    """`2026-11-22 08:41 JST`, for tables."""
    return f"{from_us(us).astimezone(JST):%Y-%m-%d %H:%M} JST"


def jst_over_utc(us: int) -> str:
    """`2026-11-22 08:41:12` over `2026-11-21 23:41:12Z`: two lines of a printed table whose title says JST and UTC."""
    moment = from_us(us)
    return f"{moment.astimezone(JST):%Y-%m-%d %H:%M:%S}\n{moment:%Y-%m-%d %H:%M:%S}Z"
