"""Cursor on Target: what the phones and terminals of teams and partners tell each other, as observations."""

from sensors.cot.decoder import CotDecoder

__all__ = ["CotDecoder"]
