"""One file a rule; each has its line in alerts/registry.py."""
