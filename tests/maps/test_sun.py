"""Day and night against an independent library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import astral
import astral.sun
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.clock import to_us
from maps.sun import is_night, sun_elevation_deg

moments = st.datetimes(datetime(1990, 1, 1), datetime(2049, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@given(moment=moments, lon=st.floats(-180, 180), lat=st.floats(-85, 85))
def test_the_sun_stands_where_another_library_says(moment: datetime, lon: float, lat: float) -> None:
    other = astral.sun.elevation(astral.Observer(latitude=lat, longitude=lon), moment, with_refraction=False)

    assert float(sun_elevation_deg(to_us(moment), lon, lat)) == pytest.approx(other, abs=0.03)


@pytest.mark.parametrize(("lon", "lat"), [(129.3, 34.2), (141.35, 43.06), (127.68, 26.21)])
def test_night_falls_and_ends_when_another_library_says(lon: float, lat: float) -> None:
    for month in range(1, 13):
        observer = astral.Observer(latitude=lat, longitude=lon)
        told = astral.sun.sun(observer, date=datetime(2026, month, 10, tzinfo=UTC), tzinfo="Asia/Tokyo")
        for name, before, after in (("sunset", False, True), ("sunrise", True, False)):
            # sunrise and sunset of a Japanese day lie on either side of midnight UTC
            moment, minute = told[name], timedelta(minutes=1, seconds=30)
            seen = is_night([to_us(moment - minute), to_us(moment + minute)], lon, lat)
            assert seen.tolist() == [before, after], (month, name)


def test_where_nothing_is_known_of_the_place_it_is_no_night() -> None:
    assert not is_night([0, 43_200_000_000], np.nan, np.nan).any()
