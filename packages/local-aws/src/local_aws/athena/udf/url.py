"""The parts of URLs, as java.net.URI takes them apart: a text that is none has no parts."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from local_aws.athena.udf import udf

# RFC 2396 with what Java lets through: letters beyond ASCII that are no white space.
_OTHER = r"[^\x00-\x7f\x80-\x9f\s]"
_ESCAPED = "%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"
_PATH = rf"(?:[{_UNRESERVED}:@&=+$,;/]|{_ESCAPED}|{_OTHER})*"
_ANY = rf"(?:[{_UNRESERVED};/?:@&=+$,\[\]]|{_ESCAPED}|{_OTHER})*"
_AUTHORITY = rf"(?:[{_UNRESERVED};:@&=+$,\[\]]|{_ESCAPED}|{_OTHER})*"
_HIERARCHICAL = re.compile(
    rf"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):(?=/))?(?://(?P<authority>{_AUTHORITY}))?(?P<path>{_PATH})"
    rf"(?:\?(?P<query>{_ANY}))?(?:#(?P<fragment>{_ANY}))?"
)
_OPAQUE = re.compile(rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):(?![/#])(?:{_ANY})(?:#(?P<fragment>{_ANY}))?")
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_SERVER = re.compile(
    rf"(?:(?:[{_UNRESERVED};:&=+$,]|{_ESCAPED}|{_OTHER})*@)?"
    rf"(?P<host>(?:{_LABEL}\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[[0-9A-Fa-f:.%]+\])"
    r"(?::(?P<port>\d*))?"
)


@lru_cache(4096)
def _parts(url: str) -> dict[str, str] | None:
    m = _OPAQUE.fullmatch(url) or _HIERARCHICAL.fullmatch(url)
    if m is None or (not m.groupdict().get("authority", "") and url.startswith("//")):
        return None
    parts = {k: v or "" for k, v in m.groupdict().items()}
    # A relative path's first part has no colon.
    if not parts["scheme"] and ":" in parts.get("path", "").split("/")[0]:
        return None
    server = _SERVER.fullmatch(parts.get("authority", ""))
    if server is not None:
        parts |= {"host": server.group("host"), "port": server.group("port") or ""}
    return parts


@udf("VARCHAR VARCHAR", "VARCHAR")
def url_part(url: str, name: str) -> str | None:
    parts = _parts(url)
    if parts is None:
        return None
    text = parts.get(name, "")
    return unquote(text, errors="replace") if name in ("path", "query", "fragment") else text


@udf("VARCHAR VARCHAR", "VARCHAR")
def url_parameter(url: str, name: str) -> str | None:
    """The first of the name; empty where it has no value."""
    parts = _parts(url)
    for pair in (parts or {}).get("query", "").split("&") if parts and parts.get("query") else []:
        key, _, value = pair.partition("=")
        if unquote_plus(key) == name:
            return unquote_plus(value, errors="replace")
    return None
