"""One file a panel; each has its line in dashboards/registry.py."""
