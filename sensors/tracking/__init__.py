"""From observations to tracks."""
