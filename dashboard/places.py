"""The states, the District of Columbia and the territories: names, and the map.

The outlines are the Census Bureau's cartographic boundaries of 2017 (public domain), in the Albers projection and the
simplification of us-atlas 3.0.1, in whole pixels of a map of 975 by 610.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

TERRITORIES = {
    "AS": "American Samoa",
    "GU": "Guam",
    "MP": "Northern Mariana Islands",
    "PR": "Puerto Rico",
    "VI": "U.S. Virgin Islands",
}


@cache
def outlines() -> dict[str, Any]:
    """A GeoJSON FeatureCollection of the states; ``id`` is the two-letter code. Territories have no outline."""
    return json.loads((Path(__file__).parent / "states.geojson").read_text(encoding="utf-8"))


@cache
def names() -> dict[str, str]:
    """Names by two-letter code, in the order of the names."""
    found = {one["id"]: one["properties"]["name"] for one in outlines()["features"]} | TERRITORIES
    return dict(sorted(found.items(), key=lambda one: one[1]))
