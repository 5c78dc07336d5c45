"""``docs/reference/schemas/``: JSON Schemas of uploads and of results, from the types and files that the code reads.

A schema of an upload is what its sender can rely on: a record that it allows is accepted. The pipelines take more than
that (an id in lower case, a count in quotes), and ``python -m medlaunch.check`` tells what exactly.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from docs.generate.markdown import code, page, table
from docs.generate.tables import Relation, published
from medlaunch.accreditation.rules import CleanFacility
from medlaunch.accreditation.states import read_states
from medlaunch.clinical.elements import is_id
from medlaunch.clinical.resources import Condition, Encounter, Patient
from medlaunch.operate.report import RunReport
from medlaunch.publish.manifests import Manifest
from medlaunch.settings import settings
from medlaunch.staffing import pbj, provider_info

FOLDER = "docs/reference/schemas"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INTRODUCTION = """
JSON Schema (2020-12), generated from the types that the code reads and writes. `make lint` fails if one differs.

A record that an upload's schema allows is accepted. The pipelines take somewhat more than that, such as blanks around a
name; [check your files](../../uploads.md) with `python -m medlaunch.check`, which applies the rules themselves.
"""
# Types of Athena -> JSON Schema of a value in JSON; a decimal is text where it must keep its digits.
_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "tinyint": {"type": "integer"},
    "smallint": {"type": "integer"},
    "int": {"type": "integer"},
    "bigint": {"type": "integer"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "decimal": {"type": "number"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
}


def schemas() -> dict[str, str]:
    """Every schema and the page that lists them: path below the repository's root -> text."""
    uploads = {
        "uploads/facilities": _facilities(),
        "uploads/pbj": _csv(
            pbj.SPELLINGS, pbj.COLUMNS, "A row of PBJ Daily Nurse Staffing, as text by header."
        ),
        "uploads/provider_info": _csv(
            provider_info.SPELLINGS,
            provider_info.COLUMNS,
            "A row of Provider Information, as text by header.",
        ),
        "uploads/fhir": _fhir(),
    }
    documents = {
        "documents/manifest": _of(Manifest, "prod/manifests/<pipeline>/<slice>.json"),
        "documents/run_report": _of(RunReport, "reports/<pipeline>/run=<run>.json"),
    }
    rows = {f"results/{one.name}": _row(one) for one in published()}
    found = {**uploads, **documents, **rows}
    texts = {f"{FOLDER}/{name}.schema.json": _text(name, schema) for name, schema in found.items()}
    return {f"{FOLDER}/README.md": _page(uploads, documents, rows), **texts}


def _page(*groups: Mapping[str, dict[str, Any]]) -> str:
    titles = ("Uploads", "Documents in the lake", "Rows of published tables")
    blocks: list[str] = [_INTRODUCTION]
    for title, group in zip(titles, groups, strict=True):
        rows = (
            [f"[{code(name.split('/')[1])}]({name}.schema.json)", one["description"]]
            for name, one in group.items()
        )
        blocks += [f"## {title}", table(["Schema", "What"], rows)]
    return page("JSON Schemas", *blocks)


def _text(name: str, schema: Mapping[str, Any]) -> str:
    return (
        json.dumps({"$schema": _DIALECT, "title": name.split("/")[1], **schema}, indent=2, ensure_ascii=False)
        + "\n"
    )


def _of(kind: type[msgspec.Struct], description: str) -> dict[str, Any]:
    """The schema of a type, its own definition at the top."""
    definitions = dict(msgspec.json.schema(kind)["$defs"])
    top = definitions.pop(kind.__name__)
    top.pop("title")
    words = " ".join(top.pop("description").replace("``", "`").split())
    return {"description": f"`{description}`: {words}" if description else words, **top, "$defs": definitions}


def _facilities() -> dict[str, Any]:
    schema = _of(CleanFacility, "")
    state = schema["$defs"]["CleanLocation"]["properties"]["state"]
    state["enum"] = sorted(read_states(settings().reference_dir / "states.csv"))
    return schema


def _fhir() -> dict[str, Any]:
    """Of the elements only those that are read; FHIR's own schema says what they hold."""
    kinds = {}
    for kind in (Patient, Encounter, Condition):
        names = [one.encode_name for one in msgspec.structs.fields(kind)]
        properties: dict[str, Any] = {name: {} for name in names}
        properties["resourceType"] = {"const": kind.__struct_config__.tag}
        properties["id"] = {"type": "string", "pattern": f"^{is_id.__self__.pattern}$"}  # type: ignore[attr-defined]
        properties["meta"] = {
            "type": "object",
            "properties": {
                "lastUpdated": {"type": "string", "format": "date-time"},
                "versionId": {"type": "string"},
            },
        }
        kinds[kind.__name__] = {
            "type": "object",
            "properties": dict(sorted(properties.items())),
            "required": ["resourceType", "id"],
        }
    return {
        "description": "A FHIR R4 or R5 resource, with the elements that are read; FHIR says what these hold.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": kinds,
    }


def _csv(spellings: str, columns: Iterable[str], description: str) -> dict[str, Any]:
    """A row of a CSV file: each column under the first header that the list of spellings has for it."""
    headers: dict[str, list[str]] = {name: [] for name in columns}
    required: dict[str, None] = {}
    with (Path(settings().reference_dir) / spellings).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            headers[row["column"]].append(row["header"])
            if row["required"] == "yes":
                required[row["column"]] = None
    properties = {}
    for column, names in headers.items():
        others = ", ".join(code(name) for name in dict.fromkeys(names[1:]))
        properties[names[0]] = {
            "type": "string",
            "description": f"Column {code(column)} of bronze."
            + (f" Also written {others}." if others else ""),
        }
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": [headers[name][0] for name in required],
    }


def _row(relation: Relation) -> dict[str, Any]:
    """A row of a table, as JSON: any column but a partition's may be null."""
    properties = {}
    for column in relation.columns:
        value = _value(column.type)
        if column.note:
            value["type"] = value["type"][0]
        properties[column.name] = {"description": column.comment, **value}
    return {
        "description": relation.about.strip(),
        "type": "object",
        "properties": properties,
        "required": [column.name for column in relation.columns],
        "additionalProperties": False,
    }


def _value(kind: str) -> dict[str, Any]:
    """The schema of a value of a type of Athena, which may be null.

    Raises:
        ValueError: for a type that has none here.
    """
    if array := re.fullmatch(r"array<(.+)>", kind):
        return {"type": ["array", "null"], "items": _value(array[1])}
    if mapping := re.fullmatch(r"map<string, *(.+)>", kind):
        return {"type": ["object", "null"], "additionalProperties": _value(mapping[1])}
    if struct := re.fullmatch(r"struct<(.+)>", kind):
        fields = dict(one.split(":", 1) for one in _split(struct[1]))
        return {
            "type": ["object", "null"],
            "properties": {name.strip(): _value(of.strip()) for name, of in fields.items()},
        }
    name = kind.partition("(")[0].strip()
    if name not in _TYPES:
        raise ValueError(f"No JSON Schema for the type {kind}: add it to docs/generate/schemas.py")
    value = _TYPES[name]
    return {**value, "type": [value["type"], "null"]}


def _split(text: str) -> Iterable[str]:
    """At the commas that are in no brackets."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            yield text[start:position]
            start = position + 1
    yield text[start:]
