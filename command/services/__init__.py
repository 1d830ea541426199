"""The private PostGIS and RabbitMQ that the program runs for itself, and the processes it supervises."""

from __future__ import annotations

from command.services.endpoints import (
    Endpoints,
    ServiceMissing,
    delete_vhost,
    ensure_services,
    ensure_vhost,
    stop_services,
)

__all__ = ["Endpoints", "ServiceMissing", "delete_vhost", "ensure_services", "ensure_vhost", "stop_services"]
