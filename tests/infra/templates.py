"""The templates that `make synth` has written."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("TEMPLATES", ROOT / "build" / "cdk"))
ACCOUNT, REGION = "123456789012", "us-east-1"


@lru_cache(maxsize=8)
def template(environment: str, stack: str) -> dict[str, Any]:
    file = FOLDER / f"medlaunch-{environment}-{stack}.template.json"
    assert file.is_file(), f"{file} is not there: make synth"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def of_type(found: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a type, by their logical ids."""
    return {name: one for name, one in found["Resources"].items() if one["Type"] == kind}


def text(value: Any) -> str:
    """A value as it will be, as far as that is known: pseudo parameters in, references as ``<Logical.Attribute>``."""
    known = {
        "AWS::AccountId": ACCOUNT,
        "AWS::Region": REGION,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
    }
    match value:
        case {"Ref": name}:
            return known.get(name, f"<{name}>")
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::ImportValue": export}:
            return f"<{export}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(text(one) for one in parts)
        case _:
            return str(value)
