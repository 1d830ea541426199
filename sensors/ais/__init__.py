"""AIS: ships' own reports by VHF (ITU-R M.1371-5) in NMEA 0183 sentences (IEC 61162-1)."""

from sensors.ais.decoder import AisDecoder
from sensors.ais.source import AisConfig, AisSource

__all__ = ["AisConfig", "AisDecoder", "AisSource"]
