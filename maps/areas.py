"""Which areas a point is in."""

from __future__ import annotations


class AreaIndex:
    """Placeholder shape until the index lands."""
