"""Who asks, behind proxies: addresses and networks that somebody named, and what forwarded headers are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

SOCKET = "unix"


@dataclass(frozen=True)
class Peers:
    """Addresses and networks; with `has_socket` also whoever comes through a Unix socket, which has no address."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    has_socket: bool = False

    @classmethod
    def named(cls, words: Iterable[str]) -> Peers:
        """Return them from words such as `127.0.0.1`, `10.0.0.0/8`, `fd00::/64`, `unix`. Raises ValueError with a sentence."""
        networks, has_socket = [], False
        for word in words:
            if word == SOCKET:
                has_socket = True
                continue
            try:
                network = ip_network(plain_address(word) or word)
            except ValueError:
                raise ValueError(
                    f"{word!r} is neither an address nor a network (10.1.2.0/24, fd00::/64; the part after the prefix must be "
                    f"zero) nor the word {SOCKET}."
                ) from None
            if not network.prefixlen:
                raise ValueError(f"{word} names everybody in the world; name the machines that are meant.")
            networks.append(network)
        return cls(tuple(networks), has_socket)

    def __contains__(self, address: str) -> bool:
        """True if `address` is among them; the empty one is that of a Unix socket."""
        if not address:
            return self.has_socket
        known = plain_address(address)
        return bool(known) and any(ip_address(known) in network for network in self.networks)

    def __bool__(self) -> bool:
        """True if anybody was named."""
        return bool(self.networks) or self.has_socket


@dataclass(frozen=True)
class Origin:
    """Where a request comes from: the client's address; scheme and host as the client knows them, empty if nobody said."""

    address: str
    scheme: str = ""
    host: str = ""


def plain_address(text: str) -> str:
    """Return an address without brackets, port and zone, an IPv4 address in IPv6 as itself; "" if it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        known = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str((known.ipv4_mapped if isinstance(known, IPv6Address) else None) or known)


def origin_behind(
    peer: str, forwarded_for: str, scheme: str, host: str, is_proxy: Callable[[str], bool] = lambda _: False
) -> Origin:
    """Return the origin of a request that a trusted `peer` handed on.

    Each proxy adds at the right of X-Forwarded-For whom it was asked by, so what stands left of the first address that is no
    proxy of ours was written by strangers. Scheme and host are those that the proxy told which was asked by the client.
    """
    address, passed = plain_address(peer) or peer, 0
    for hop in reversed(forwarded_for.split(",")):
        known = plain_address(hop)
        if not known:
            break
        address = known
        if not is_proxy(known):
            break
        passed += 1
    said = _told(scheme, passed).lower()
    return Origin(address, said if said in ("http", "https") else "", _told(host, passed))


def _told(header: str, passed: int) -> str:
    values = [value.strip() for value in header.split(",")]
    return values[max(-len(values), -1 - passed)]
