"""Hosts for matching: without port, case and the dot of a complete name."""

from __future__ import annotations

from ipaddress import IPv6Address


def host_name(host: str) -> str:
    """What `host`, of a request or a config, is compared as. An IPv6 address is in brackets."""
    host = host.lower()
    if host.startswith("["):
        return _ipv6(host[: host.find("]") + 1])
    return host.partition(":")[0].removesuffix(".")


def _ipv6(bracketed: str) -> str:
    """In its shortest form (RFC 5952), as `[0:0:0:0:0:0:0:1]` is `[::1]`."""
    try:
        ip = IPv6Address(bracketed[1:-1])
    except ValueError:
        return bracketed
    if ip.ipv4_mapped is None:
        return f"[{ip.compressed}]"
    # Python 3.13 writes these with dots, and earlier ones do not.
    high, low = divmod(int(ip.ipv4_mapped), 1 << 16)
    return f"[::ffff:{high:x}:{low:x}]"
