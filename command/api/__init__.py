"""The REST and WebSocket edge: one router a noun."""
