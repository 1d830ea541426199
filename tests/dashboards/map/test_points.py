"""When the texts of what moves are placed anew: MapLibre takes all texts of the map apart for each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SET = """([zoom, steps]) => {
  let times = 0;
  const kept = {setData: () => { times += 1; }};
  const map = {getSource: () => kept, getZoom: () => zoom};
  return steps.map((points) => {
    const before = times;
    source.setPoints(map, "any", points.map(([lon, lat, label]) => (
      {type: "Feature", properties: {label}, geometry: {type: "Point", coordinates: [lon, lat]}})));
    return times > before;
  });
}"""
PIXEL_DEG = 360.0 / (512.0 * 2.0**10)
"""At zoom 10, of longitude."""


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([[[129.5, 34.4, "A"]], [[129.5, 34.4, "A"]]], [True, False]),
        ([[[129.5, 34.4, "A"]], [[129.5 + PIXEL_DEG, 34.4, "A"]]], [True, False]),
        ([[[129.5, 34.4, "A"]], [[129.5 + 2.1 * PIXEL_DEG, 34.4, "A"]]], [True, True]),
        # a degree of latitude is more pixels: 1.7 pixels of longitude are 2.06 of latitude here
        ([[[129.5, 34.4, "A"]], [[129.5, 34.4 + 1.7 * PIXEL_DEG, "A"]]], [True, True]),
        # it lags behind what was shown, not behind what was told last
        ([[[129.5 + i * 0.9 * PIXEL_DEG, 34.4, "A"]] for i in range(5)], [True, False, False, True, False]),
        ([[[129.5, 34.4, "A"]], [[129.5, 34.4, "B"]]], [True, True]),
        ([[[129.5, 34.4, "A"]], [[129.5, 34.4, "A"], [129.6, 34.4, "B"]], []], [True, True, True]),
        ([[], []], [False, False]),
    ],
)
def test_texts_are_placed_anew_where_somebody_would_see_a_difference(
    in_source: Callable[..., Any], steps: list[Any], told: list[bool]
) -> None:
    assert in_source("points", SET, [10, steps]) == told
