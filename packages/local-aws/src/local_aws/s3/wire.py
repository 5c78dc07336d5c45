"""S3's requests and answers on the wire, by the service model that SDKs are made from.

An operation gives its result as SDKs show it (``{"Contents": [{"Key": ...}]}``); which member is a header, which an
element, and under what name, says botocore's model, with the names of root elements that moto adds. Readers and
writers are compiled from it once for each operation, because moto's own serialiser takes ten times as long for a page
of 1,000 keys (docs/decisions/0030-s3-answers-compiled-from-the-service-model.md).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from moto.core.model import Shape, StructureShape
from moto.core.utils import get_service_model

from local_aws.http import Response
from local_aws.s3.errors import S3Error, malformed_xml

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CONTENT_TYPE = ("Content-Type", "application/xml")
# Root elements that neither model has, and S3's documentation shows.
_ROOTS = {"ListParts": "ListPartsResult"}

Write = Callable[[Any], str]
Read = Callable[[ET.Element], Any]


# ------------------------------------------------------------------------------------------- times


def whole_seconds(moment: datetime) -> datetime:
    """A moment as S3 knows it, in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)


def http_date(moment: datetime) -> str:
    return format_datetime(whole_seconds(moment), usegmt=True)


def _iso(moment: datetime) -> str:
    # Several times as fast as strftime, for listings.
    return f"{moment.isoformat()[:19]}.000Z"


# ----------------------------------------------------------------------------------------- answers


def respond(operation: str, result: Mapping[str, Any], status: int = 200) -> Response:
    """An operation's answer. Members that are None are left out."""
    answer = _answer(operation)
    headers: list[tuple[str, str]] = []
    out = [_PROLOGUE, answer.opening]
    for name, value in result.items():
        if value is None:
            continue
        header = answer.headers.get(name)
        if header is not None:
            headers.append((header, _header(value)))
        else:
            out.append(answer.elements[name](value))
    if not answer.opening:
        return Response(status, headers)
    out.append(answer.closing)
    return Response(status, [_CONTENT_TYPE, *headers], "".join(out).encode())


def refuse(error: S3Error, resource: str, request_id: str) -> Response:
    """An error's answer; `resource` is the path of the request."""
    fields = {
        "Code": error.code,
        "Message": error.message,
        **error.fields,
        "Resource": resource,
        "RequestId": request_id,
    }
    body = "".join(f"<{name}>{_escape(value)}</{name}>" for name, value in fields.items())
    return Response(
        error.status, [_CONTENT_TYPE, *error.headers], f"{_PROLOGUE}<Error>{body}</Error>".encode()
    )


@dataclass(frozen=True)
class _Answer:
    """The output of an operation: headers and elements by member, and the root element around these."""

    headers: dict[str, str]
    elements: dict[str, Write]
    opening: str
    closing: str


@cache
def _answer(operation: str) -> _Answer:
    shape = get_service_model("s3").operation_model(operation).output_shape
    assert isinstance(shape, StructureShape)
    members: dict[str, Shape] = shape.members
    headers = {
        name: member.serialization["name"]
        for name, member in members.items()
        if member.serialization.get("location") == "header"
    }
    body = {name: member for name, member in members.items() if "location" not in member.serialization}
    payload = shape.serialization.get("payload")
    if payload is not None:
        inside = members[payload]
        assert isinstance(inside, StructureShape)
        body, root = inside.members, payload
    else:
        root = shape.serialization.get("resultWrapper") or _ROOTS.get(operation)
    elements = {
        name: _element(member.serialization.get("name", name), member) for name, member in body.items()
    }
    opening, closing = (f'<{root} xmlns="{_NAMESPACE}">', f"</{root}>") if root else ("", "")
    return _Answer(headers, elements, opening, closing)


def _header(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return http_date(value) if isinstance(value, datetime) else str(value)


def _boolean(value: Any) -> str:
    return "true" if value else "false"


def _escape(text: str) -> str:
    # Most texts have nothing to escape.
    return escape(text) if "&" in text or "<" in text or ">" in text else text


_TEXT: dict[str, Callable[[Any], str]] = {
    "boolean": _boolean,
    "integer": str,
    "long": str,
    "timestamp": _iso,
}


def _element(name: str, shape: Any) -> Write:
    """Writes a value of a shape as an element of a name; a flattened list as one element for each item."""
    opening, closing = f"<{name}>", f"</{name}>"
    if shape.type_name == "structure":
        members = {
            key: _element(member.serialization.get("name", key), member)
            for key, member in shape.members.items()
        }

        def structure(value: Mapping[str, Any]) -> str:
            inside = [members[key](one) for key, one in value.items() if one is not None]
            return f"{opening}{''.join(inside)}{closing}"

        return structure
    if shape.type_name == "list":
        assert shape.is_flattened, name  # as all lists of the operations here are
        item = _element(shape.member.serialization.get("name", name), shape.member)
        return lambda values: "".join([item(value) for value in values])
    text = _TEXT.get(shape.type_name, _escape)
    return lambda value: f"{opening}{text(value)}{closing}"


# ---------------------------------------------------------------------------------------- requests


def read(operation: str, body: bytes) -> dict[str, Any]:
    """The payload of an operation's request. Raises S3Error for what is no such XML."""
    try:
        root = ET.fromstring(body)  # noqa: S314  # a local client's request
        found: dict[str, Any] = _request(operation)(root)
    except (ET.ParseError, ValueError) as e:
        raise malformed_xml() from e
    return found


@cache
def _request(operation: str) -> Read:
    shape = get_service_model("s3").operation_model(operation).input_shape
    assert shape is not None
    return _reader(shape.members[shape.serialization["payload"]])


def _reader(shape: Any) -> Read:
    if shape.type_name == "structure":
        members: dict[str, tuple[str, bool, Read]] = {}
        for name, member in shape.members.items():
            several = member.type_name == "list"
            inner = member.member if several else member
            tag = inner.serialization.get("name") or member.serialization.get("name", name)
            members[tag] = (name, several, _reader(inner))

        def structure(element: ET.Element) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for child in element:
                known = members.get(child.tag.rpartition("}")[2])
                if known is not None:
                    name, several, one = known
                    if several:
                        out.setdefault(name, []).append(one(child))
                    else:
                        out[name] = one(child)
            return out

        return structure
    if shape.type_name in ("integer", "long"):
        return lambda element: int(element.text or "")
    if shape.type_name == "boolean":
        return lambda element: (element.text or "").strip().lower() == "true"
    return lambda element: element.text or ""
