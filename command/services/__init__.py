"""The private PostGIS and RabbitMQ that the program runs for itself, and the processes it supervises."""

from command.services.broker_users import Access, BrokerUsers, password_is
from command.services.endpoints import (
    Endpoints,
    PrivateServers,
    delete_vhost,
    ensure_services,
    ensure_vhost,
    locate_services,
    stop_services,
)
from command.services.errors import ServiceMissing
from command.services.ports import free_ports
from command.services.supervisor import AlreadyRunning, Child, Supervisor

__all__ = [
    "Access",
    "AlreadyRunning",
    "BrokerUsers",
    "Child",
    "Endpoints",
    "PrivateServers",
    "ServiceMissing",
    "Supervisor",
    "delete_vhost",
    "ensure_services",
    "ensure_vhost",
    "free_ports",
    "locate_services",
    "password_is",
    "stop_services",
]
