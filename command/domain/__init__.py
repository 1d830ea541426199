"""What Mizugiwa talks about: frozen values and the columnar batches of the hot path. No I/O, no framework."""
