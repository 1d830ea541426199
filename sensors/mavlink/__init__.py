"""MAVLink vehicles: decoding, links and recordings."""
