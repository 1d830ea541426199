"""The console: shell, panels and the map."""
