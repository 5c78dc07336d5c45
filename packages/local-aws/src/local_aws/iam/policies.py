"""Policies, and whether they allow an access.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Access:
    """One thing that a request does: an action on a resource, with what conditions may ask for."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


class Denied(Exception):
    """No policy allows it, or one forbids it."""

    def __init__(self, caller: str, access: Access, why: str) -> None:
        self.access = access
        super().__init__(
            f"User: {caller} is not authorized to perform: {access.action} on resource: {access.resource} because {why}"
        )


class Unknown(Exception):
    """This module does not know what a request needs."""


def _matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    return _pattern(pattern, ignore_case).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    # IAM has * and ? only; in fnmatch a bracket would begin a set.
    text = fnmatch.translate(pattern.replace("[", "[[]"))
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _matches,
    "ArnEquals": _matches,
    "ArnLike": _matches,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}
_NEGATIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _condition_holds(operator: str, keys: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    for key, wanted in keys.items():
        value = context.get(key.lower())
        if operator == "Null":
            if (value is None) != (str(_list(wanted)[0]).lower() == "true"):
                return False
            continue
        negative = operator in _NEGATIVE
        test = _OPERATORS.get(_NEGATIVE.get(operator, operator))
        if test is None:
            raise ValueError(
                f"local_aws does not know the condition operator {operator}; it knows {', '.join([*_OPERATORS, *_NEGATIVE, 'Null'])}"
            )
        if value is None:
            if not (if_exists or negative):
                return False
            continue
        if (
            any(test(str(one).lower() if isinstance(one, bool) else str(one), value) for one in _list(wanted))
            == negative
        ):
            return False
    return True


def _applies(statement: Mapping[str, Any], access: Access) -> bool:
    if "Action" in statement:
        named = any(_matches(one, access.action, ignore_case=True) for one in _list(statement["Action"]))
    else:
        named = not any(
            _matches(one, access.action, ignore_case=True) for one in _list(statement["NotAction"])
        )
    if not named:
        return False
    if "NotResource" in statement:
        meant = not any(_matches(one, access.resource) for one in _list(statement["NotResource"]))
    else:
        meant = any(_matches(one, access.resource) for one in _list(statement.get("Resource", [])))
    context = {key.lower(): value for key, value in access.context}
    return meant and all(
        _condition_holds(operator, keys, context) for operator, keys in statement.get("Condition", {}).items()
    )


@lru_cache(maxsize=256)
def _statements(document: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(_list(json.loads(document)["Statement"]))


def decide(documents: Iterable[str], access: Access) -> tuple[list[str], str]:
    """The Sids of the statements that allow an access, and, if there are none or one forbids it, why not.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    allowing = []
    for document in documents:
        for statement in _statements(document):
            if _applies(statement, access):
                if statement["Effect"] == "Deny":
                    return (
                        [],
                        f"with an explicit deny in an identity-based policy ({statement.get('Sid', 'no Sid')})",
                    )
                allowing.append(statement.get("Sid", ""))
    return allowing, "" if allowing else f"no identity-based policy allows the {access.action} action"
