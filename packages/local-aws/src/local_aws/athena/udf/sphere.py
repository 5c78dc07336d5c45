"""Geometries on a sphere, the Earth."""

from __future__ import annotations

import math
from typing import Any

from local_aws.athena.udf import fail, udf
from local_aws.athena.udf.geospatial import LINES, POLYGONS, only, read

_INVALID = "INVALID_FUNCTION_ARGUMENT"
EARTH_RADIUS_KM = 6371.01


@udf("BLOB", "BLOB")
def geo_to_spherical(data: bytes) -> bytes:
    g = read(data)
    if not g.is_empty:
        x0, y0, x1, y1 = g.bounds
        for latitude in (y0, y1):
            _check_latitude(latitude)
        for longitude in (x0, x1):
            _check_longitude(longitude)
    if g.has_z:
        raise fail(_INVALID, "Cannot convert 3D geometry to a spherical geography")
    return data


def _check_latitude(value: float) -> None:
    if not -90 <= value <= 90:
        raise fail(_INVALID, "Latitude must be between -90 and 90")


def _check_longitude(value: float) -> None:
    if not -180 <= value <= 180:
        raise fail(_INVALID, "Longitude must be between -180 and 180")


@udf("DOUBLE DOUBLE DOUBLE DOUBLE", "DOUBLE")
def geo_great_circle(latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> float:
    """Kilometres between two points, by Vincenty's formula for a sphere."""
    for latitude, longitude in ((latitude1, longitude1), (latitude2, longitude2)):
        _check_latitude(latitude)
        _check_longitude(longitude)
    a, b = math.radians(latitude1), math.radians(latitude2)
    d = math.radians(longitude1) - math.radians(longitude2)
    east = math.cos(b) * math.sin(d)
    north = math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(d)
    along = math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(d)
    return math.atan2(math.sqrt(east * east + north * north), along) * EARTH_RADIUS_KM


@udf("BLOB BLOB", "DOUBLE")
def geo_spherical_distance(a: bytes, b: bytes) -> float | None:
    x, y = read(a), read(b)
    if x.is_empty or y.is_empty:
        return None
    for g in (x, y):
        only("ST_Distance", g, "Point", spherical=True)
    return float(geo_great_circle(x.y, x.x, y.y, y.x)) * 1000


@udf("BLOB", "DOUBLE")
def geo_spherical_length(data: bytes) -> float | None:
    g = read(data)
    if g.is_empty:
        return None
    only("ST_Length", g, *LINES, spherical=True)
    return 1000 * sum(
        float(geo_great_circle(y0, x0, y1, x1))
        for line in getattr(g, "geoms", [g])
        for (x0, y0), (x1, y1) in zip(line.coords[:-1], line.coords[1:], strict=True)
    )


@udf("BLOB", "DOUBLE")
def geo_spherical_area(data: bytes) -> float | None:
    g = read(data)
    if g.is_empty:
        return None
    only("ST_Area", g, *POLYGONS, spherical=True)
    excess = 0.0
    for polygon in getattr(g, "geoms", [g]):
        excess += abs(_excess(polygon.exterior))
        excess -= sum(abs(_excess(ring)) for ring in polygon.interiors)
    return abs(excess * (EARTH_RADIUS_KM * 1000) ** 2)


def _excess(ring: Any) -> float:
    """A ring's spherical excess (https://www.movable-type.co.uk/scripts/latlong.html), for any ring that goes round a
    pole, too (https://www.element84.com/blog/determining-if-a-spherical-polygon-contains-a-pole)."""
    points = [(math.radians(x), math.radians(y)) for x, y in ring.coords[:-1]]
    if len(points) < 3:
        raise fail(_INVALID, "Polygon is not valid: a loop contains less then 3 vertices.")
    turn = 2 * math.pi
    excess = course = 0.0
    bearings = []
    for (x0, y0), (x1, y1) in zip([points[-1], *points], points, strict=False):
        if (x0, y0) == (x1, y1):
            raise fail(_INVALID, "Polygon is not valid: it has two identical consecutive vertices")
        d, t0, t1 = x1 - x0, math.tan(y0 / 2), math.tan(y1 / 2)
        excess += 2 * math.atan2(math.tan(d / 2) * (t0 + t1), 1 + t0 * t1)
        start = math.atan2(
            math.sin(d) * math.cos(y1),
            math.cos(y0) * math.sin(y1) - math.sin(y0) * math.cos(y1) * math.cos(d),
        )
        back = math.atan2(
            -math.sin(d) * math.cos(y0),
            math.sin(y0) * math.cos(y1) - math.cos(y0) * math.sin(y1) * math.cos(d),
        )
        bearings += [start % turn, (back + math.pi) % turn]
    for before, after in zip(bearings, [*bearings[1:], bearings[0]], strict=True):
        course += (after - before + 3 * math.pi) % turn - math.pi
    # All turns are a whole one, unless a pole is inside.
    return abs(excess) - turn if abs(course) < math.pi / 4 else excess
