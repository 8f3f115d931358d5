"""The bus on PostgreSQL: a log table per topic in a database of its own."""

from libs.messaging.postgres.provision import bus_url, provision_bus, provision_guest
from libs.messaging.postgres.transport import PostgresBus

__all__ = ["PostgresBus", "bus_url", "provision_bus", "provision_guest"]
