"""Addresses of IPv4 and IPv6, kept as Trino keeps them: as 16 bytes, those of IPv4 mapped into IPv6. A prefix has its
length after them."""

from __future__ import annotations

import ipaddress
import re

from local_aws.athena.udf import fail, udf

_INVALID = "INVALID_FUNCTION_ARGUMENT"
_CAST = "INVALID_CAST_ARGUMENT"
_V4 = b"\0" * 10 + b"\xff\xff"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(data: bytes) -> Address:
    return ipaddress.IPv4Address(data[12:16]) if data[:12] == _V4 else ipaddress.IPv6Address(data[:16])


def _bytes(address: Address) -> bytes:
    return _V4 + address.packed if address.version == 4 else address.packed


def _parsed(text: str) -> Address:
    # A mapped address is one of IPv4.
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


@udf("VARCHAR", "BLOB")
def ip_parse(text: str) -> bytes:
    try:
        return _bytes(_parsed(text))
    except ValueError as e:
        raise fail(_CAST, f"Cannot cast value to IPADDRESS: {text}") from e


@udf("BLOB", "VARCHAR")
def ip_text(data: bytes) -> str:
    return _text(_address(data))


def _text(address: Address) -> str:
    # Java's: :: only for two or more groups of zeros, which Python does as well; no dotted IPv4 at the end.
    return str(address)


@udf("BLOB", "BLOB")
def ip_of_bytes(data: bytes) -> bytes:
    if len(data) not in (4, 16):
        raise fail(_CAST, f"Invalid IP address binary length: {len(data)}")
    return _bytes(ipaddress.ip_address(data)) if len(data) == 4 else data


@udf("VARCHAR BLOB", "BOOLEAN")
def ip_contains(network: str, data: bytes) -> bool:
    text, slash, bits = network.partition("/")
    if not slash:
        raise fail(_INVALID, "Invalid CIDR")
    try:
        first = _parsed(text)
    except ValueError as e:
        raise fail(_INVALID, "Invalid network IP address") from e
    length = int(bits) if re.fullmatch(r"[+-]?\d+", bits) else -1
    if length < 0:
        raise fail(_INVALID, "Invalid prefix length")
    rest = first.max_prefixlen - length
    if rest < 0 or int(first) & ((1 << rest) - 1):
        # Too long, or for an address that is inside of the network and not its first.
        raise fail(_INVALID, "Invalid CIDR")
    address = _address(data)
    return address.version == first.version and int(address) >> rest == int(first) >> rest


# --------------------------------------------------------------------------------------------- prefixes


def _network(data: bytes) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network((_address(data), data[16]))


@udf("BLOB BIGINT", "BLOB")
def ip_prefix(data: bytes, length: int) -> bytes:
    address = _address(data)
    if not 0 <= length <= address.max_prefixlen:
        raise fail(
            _INVALID, f"IPv{address.version} subnet size must be in range [0, {address.max_prefixlen}]"
        )
    network = ipaddress.ip_network((address, length), strict=False)
    return _bytes(network.network_address) + bytes([length])


@udf("VARCHAR", "BLOB")
def ip_parse_prefix(text: str) -> bytes:
    address, _, length = text.partition("/")
    try:
        return bytes(ip_prefix(_bytes(_parsed(address)), int(length)))
    except ValueError as e:
        raise fail(_CAST, f"Cannot cast value to IPPREFIX: {text}") from e


@udf("BLOB", "VARCHAR")
def ip_prefix_text(data: bytes) -> str:
    return f"{_text(_address(data))}/{data[16]}"


@udf("BLOB", "BLOB")
def ip_whole_prefix(data: bytes) -> bytes:
    """The prefix that has one address only."""
    return data + bytes([_address(data).max_prefixlen])


@udf("BLOB", "BLOB")
def ip_subnet_min(data: bytes) -> bytes:
    return _bytes(_network(data).network_address)


@udf("BLOB", "BLOB")
def ip_subnet_max(data: bytes) -> bytes:
    return _bytes(_network(data).broadcast_address)


@udf("BLOB BLOB", "BOOLEAN")
def ip_is_subnet_of(data: bytes, other: bytes) -> bool:
    """Whether an address or a prefix lies in a prefix."""
    network, address = _network(data), _address(other)
    length = other[16] if len(other) == 17 else address.max_prefixlen
    return address.version == network.version and length >= network.prefixlen and address in network
