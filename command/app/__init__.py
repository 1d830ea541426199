"""Wiring: settings and servers become running processes. The only place that knows every part."""
