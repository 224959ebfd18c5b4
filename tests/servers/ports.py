"""Free ports of this machine."""

import random
import socket
from pathlib import Path

LOWEST = 10_000
# Of Linux: connections that a machine opens begin at ports from here on.
FIRST_OF_CONNECTIONS = 32_768


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, and that no connection takes before a server does."""
    numbers = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(numbers.read_text().split()[0]) if numbers.exists() else FIRST_OF_CONNECTIONS
    found: list[int] = []
    for port in random.sample(range(LOWEST, first), first - LOWEST) if first > LOWEST else []:
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise SystemExit(f"error: fewer than {count} ports from {LOWEST} to {first} are free")


def is_free(port: int) -> bool:
    """Whether nobody listens there, and we may."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def answers(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
