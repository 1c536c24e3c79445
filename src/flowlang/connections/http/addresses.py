"""Which network addresses a connection may reach: those of the public internet, unless `allow_private` is set.

A flow runs inside somebody's network, and a name in a URL, a redirect or a page's link may lead back into it: to
the machine itself, to a neighbour, to the service that hands out a cloud machine's credentials. So addresses are
judged after they were looked up, and the one that was judged is the one that is connected to (see `network`).

The ranges are those of the IANA special-purpose address registries, as `ipaddress` knows them, and what carries
another address inside: mapped and compatible IPv6, NAT64 (RFC 6052), 6to4, Teredo.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
# Ranges that some versions of `ipaddress` call global, though nothing public is behind them.
_CLOSED: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = (
    ipaddress.IPv4Network("100.64.0.0/10"),  # shared by a provider's customers; one cloud keeps its metadata here
    ipaddress.IPv4Network("168.63.129.16/32"),  # the host of a virtual machine in Azure
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relays
    ipaddress.IPv4Network("198.18.0.0/15"),
    ipaddress.IPv6Network("64:ff9b:1::/48"),
    ipaddress.IPv6Network("100::/64"),
    ipaddress.IPv6Network("2001:db8::/32"),
    ipaddress.IPv6Network("5f00::/16"),
    ipaddress.IPv6Network("fec0::/10"),
)


def is_public(text: str) -> bool:
    """Whether an address, as a lookup gives it, belongs to the public internet. What is no address does not."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return "%" not in text and all(map(_is_public, (address, *_inside(address))))


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return isinstance(address, ipaddress.IPv6Address) and bool(_inside(address)) and not _special(address)
    return not _special(address)


def _special(address: Address) -> bool:
    plain = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return plain or any(address in each for each in _CLOSED if each.version == address.version)


def _inside(address: Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 one carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or ()


def refusal(address: str) -> str | None:
    """Why a connection without `allow_private` does not go to an address; None when it does."""
    return None if is_public(address) else "no address of the public internet: set `allow_private: true` if it is meant"


def literal(host: str) -> str | None:
    """The address that `host` writes out, in whatever form the system's resolver would read: `127.1`,
    `0x7f000001`, `017700000001`, `[::1]`. None for a name that has to be looked up."""
    import socket

    bare = host.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(bare))
    except OSError:
        return None


def is_private_host(host: str) -> bool:
    """Whether `host` is known to be no public one without a lookup: such an address, or `localhost`."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    address = literal(host)
    return address is not None and not is_public(address)
