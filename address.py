"""Where the dashboard is served: the default address, and what can be said of another."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = 8050

# Whoever has one IPv6 address has all of its network.
_IPV6_NETWORK: Final = 64

# Listening at one of these is listening at every address of the machine.
_EVERYWHERE: Final = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 - compared with, not bound to


class AddressError(OSError):
    """The dashboard can't be served at the address that was asked for."""


def check_address(host: str, port: int) -> None:
    """Raise AddressError unless one can listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "something else listens there" if in_use else _reason(error)
        way_out = "Stop that, or choose another" if in_use else "Choose another"
        raise AddressError(
            f"Cannot serve at {host}:{port}: {reason}. {way_out} with "
            "concept-fragmentation serve --host HOST --port PORT."
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host that `check_address` let pass."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return all(ipaddress.ip_address(str(address[0])).is_loopback for *_, address in found)


def url(host: str, port: int, prefix: str = "") -> str:
    """Return what a browser on this machine is told to open."""
    name = "localhost" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}{prefix}/"


def network_of(address: str) -> str:
    """Return what stands for whoever has an address: it, or the network of one of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK), strict=False))


def _reason(error: OSError | UnicodeError) -> str:
    words = error.strerror if isinstance(error, OSError) else None
    return (words or "that is no name of a host").lower()
