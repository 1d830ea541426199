"""The private PostGIS and RabbitMQ that the program runs for itself, and the processes it supervises."""

from command.services.endpoints import (
    Endpoints,
    PrivateServers,
    delete_vhost,
    ensure_services,
    ensure_vhost,
    stop_services,
)
from command.services.errors import ServiceMissing

__all__ = [
    "Endpoints",
    "PrivateServers",
    "ServiceMissing",
    "delete_vhost",
    "ensure_services",
    "ensure_vhost",
    "stop_services",
]
