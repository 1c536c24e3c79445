"""The kinds of server, by the connection type that speaks to them."""

from __future__ import annotations

from tests.servers.mariadb import MariaDB
from tests.servers.mongodb import FerretDB, MongoDB
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres
from tests.servers.process import Server
from tests.servers.redis import Redis

KINDS: dict[str, type[Server]] = {each.kind: each for each in (Postgres, MariaDB, Redis, MongoDB, FerretDB)}

PROGRAMS: dict[str, type[Server]] = {**KINDS, PgBouncer.kind: PgBouncer}
"""What the tests start, poolers in front of servers included."""
