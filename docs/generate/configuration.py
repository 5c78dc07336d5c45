"""``docs/configuration.md``: every setting, from the fields of :class:`medlaunch.settings.Settings`."""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.generate.markdown import code, page, table
from medlaunch.settings import PREFIX, Settings

_INTRODUCTION = """
All configuration of the DAGs and of `plugins/medlaunch` is read from environment variables, once in a process,
in [`plugins/medlaunch/settings.py`](../plugins/medlaunch/settings.py). The defaults suit the laptop. An empty
value counts as not set. A value that cannot be used fails at once, when the DAG file is read, with the name of
the variable, its value and what it must be.

Which AWS is spoken to is no setting of its own: boto3 reads the standard variables (`AWS_ENDPOINT_URL` points
at `local_aws` on a laptop; credentials and region come from the environment or the connection
`MEDLAUNCH_AWS_CONN_ID`).
"""


def configuration() -> str:
    """The page, as Markdown."""
    rows = [
        [code(PREFIX + name.upper()), _default(field), field.description or "", _constraints(field)]
        for name, field in Settings.model_fields.items()
    ]
    undocumented = [row[0] for row in rows if not row[2]]
    if undocumented:
        raise ValueError(f"Settings without a description: {', '.join(undocumented)}. Say what each is for.")
    return page("Configuration", _INTRODUCTION, table(["Variable", "Default", "Meaning", "Must be"], rows))


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "not set"
    if field.default is PydanticUndefined:  # made by a function, and another one on each machine
        return "found by itself"
    return code(field.default)


def _constraints(field: FieldInfo) -> str:
    """The type and every bound of a field, in words."""
    words = [_type_name(field.annotation)]
    for rule in _rules(field):
        match rule:
            case Gt(gt=bound):
                words.append(f"more than {bound}")
            case Ge(ge=bound):
                words.append(f"at least {bound}")
            case Lt(lt=bound):
                words.append(f"less than {bound}")
            case Le(le=bound):
                words.append(f"at most {bound}")
            case MinLen(min_length=1):
                words.append("not empty")
            case MinLen(min_length=length):
                words.append(f"at least {length} characters")
            case MaxLen(max_length=length):
                words.append(f"at most {length} characters")
            case _ if pattern := getattr(rule, "pattern", None):
                words.append(f"matching {code(pattern)}")
            case _:
                raise ValueError(
                    f"Unknown rule {rule!r} of a setting: teach docs/generate/configuration.py its words"
                )
    return ", ".join(words)


def _rules(field: FieldInfo) -> list[Any]:
    """The rules of a field, those of an ``Annotated[..., Field(...)]`` inside it too."""
    found: list[Any] = []
    for rule in field.metadata:
        found += _rules(rule) if isinstance(rule, FieldInfo) else [rule]
    return found


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
    return {"str": "text", "int": "whole number", "float": "number", "Path": "folder"}[annotation.__name__]
