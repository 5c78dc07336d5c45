"""Geometries, by Shapely. They are kept as WKB, with shells counterclockwise and holes clockwise, as Trino writes them.

What Trino's documentation does not say was measured there: which types a function takes, what it gives for empty
geometries, where the rings of a result begin.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
import struct
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import shapely
import shapely.ops

from local_aws.athena.udf import fail, udf

_INVALID = "INVALID_FUNCTION_ARGUMENT"
POLYGONS = ("Polygon", "MultiPolygon")
LINES = ("LineString", "MultiLineString")
# ESRI's names, which Trino's messages have.
_NAMES = {
    "Point": "POINT", "MultiPoint": "MULTI_POINT", "LineString": "LINE_STRING", "LinearRing": "LINE_STRING",
    "MultiLineString": "MULTI_LINE_STRING", "Polygon": "POLYGON", "MultiPolygon": "MULTI_POLYGON",
    "GeometryCollection": "GEOMETRY_COLLECTION",
}  # fmt: skip


@functools.lru_cache(maxsize=4096)
def read(data: bytes) -> Any:
    """The geometry of WKB."""
    return shapely.from_wkb(data)


def write(g: Any) -> bytes:
    if g.geom_type == "LinearRing":
        g = shapely.LineString(g)
    if g.has_z:
        raise fail("NOT_SUPPORTED", "A geometry with a third dimension is not supported by local_aws")
    return bytes(shapely.to_wkb(shapely.orient_polygons(g)))


def _write_made(g: Any) -> bytes:
    """The result of an operation: rings begin at the lowest of their points, polygons come in the order of theirs."""
    if g.geom_type == "Polygon" and not g.is_empty:
        return write(shapely.Polygon(_from_lowest(g.exterior), [_from_lowest(r) for r in g.interiors]))
    if g.geom_type == "MultiPolygon":
        parts = [shapely.from_wkb(_write_made(p)) for p in g.geoms]
        return write(shapely.MultiPolygon(sorted(parts, key=lambda p: p.exterior.coords[0][::-1])))
    return write(g)


def _from_lowest(ring: Any) -> list[tuple[float, float]]:
    return _from(ring, min(ring.coords, key=lambda p: (p[1], p[0])))


def _from(ring: Any, start: tuple[float, float]) -> list[tuple[float, float]]:
    """A ring's points from one of them on."""
    points = list(ring.coords)[:-1]
    at = points.index(start)
    return [*points[at:], *points[:at], start]


def _clockwise(g: Any) -> Any:
    """With shells clockwise, as the functions see them that Trino has from JTS."""
    return shapely.orient_polygons(g, exterior_cw=True)


def only(name: str, g: Any, *types: str, spherical: bool = False) -> Any:
    if g.geom_type not in types:
        wanted = " or ".join(_NAMES[t] for t in types)
        what = (
            f"When applied to SphericalGeography inputs, {name} only supports {wanted}"
            if spherical
            else f"{name} only applies to {wanted}"
        )
        raise fail(_INVALID, f"{what}. Input type is: {_NAMES[g.geom_type]}")
    return g


# ------------------------------------------------------------------------------------------- constructors


@udf("VARCHAR", "BLOB")
def geo_from_text(text: str) -> bytes:
    return write(_parsed(text))


def _parsed(text: str) -> Any:
    # Rings that are not closed are.
    g = shapely.from_wkt(text, on_invalid="fix")
    if g is None:
        raise fail(_INVALID, f"Invalid WKT: {text}")
    return g


@udf("VARCHAR", "BLOB")
def geo_line_from_text(text: str) -> bytes:
    return write(only("ST_LineFromText", _parsed(text), "LineString"))


@udf("VARCHAR", "BLOB")
def geo_polygon(text: str) -> bytes:
    return write(only("ST_Polygon", _parsed(text), "Polygon"))


@udf("BLOB", "BLOB")
def geo_from_binary(data: bytes) -> bytes:
    try:
        return write(shapely.from_wkb(data))
    except shapely.errors.ShapelyError as e:
        raise fail(_INVALID, "Invalid WKB") from e


@udf("DOUBLE DOUBLE", "BLOB")
def geo_point(x: float, y: float) -> bytes:
    return struct.pack("<bIdd", 1, 1, x, y)


def _points(name: str, items: list[bytes | None], wrong: str) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for i, data in enumerate(items, 1):
        if data is None:
            kind = "null point" if name == "ST_LineString" else "null"
            raise fail(_INVALID, f"Invalid input to {name}: {kind} at index {i}")
        g = read(data)
        if g.geom_type != "Point":
            raise fail(_INVALID, wrong.format(g.geom_type, i))
        if g.is_empty:
            raise fail(_INVALID, f"Invalid input to {name}: empty point at index {i}")
        if name == "ST_LineString" and out and out[-1] == (g.x, g.y):
            raise fail(_INVALID, f"Invalid input to {name}: consecutive duplicate points at index {i}")
        out.append((g.x, g.y))
    return out


@udf("BLOB[]", "BLOB")
def geo_line_string(items: list[bytes | None]) -> bytes:
    found = _points(
        "ST_LineString", items, "ST_LineString takes only an array of valid points, {} was passed"
    )
    return write(shapely.LineString(found if len(found) > 1 else []))


@udf("BLOB[]", "BLOB")
def geo_multi_point(items: list[bytes | None]) -> bytes | None:
    wrong = "Invalid input to ST_MultiPoint: geometry is not a point: {} at index {}"
    found = _points("ST_MultiPoint", items, wrong)
    return write(shapely.MultiPoint(found)) if found else None


@udf("VARCHAR", "BLOB")
def geo_from_json(text: str) -> bytes:
    try:
        return write(shapely.from_geojson(text))
    except shapely.errors.ShapelyError as e:
        raise fail(_INVALID, f"Invalid GeoJSON: {text}") from e


@udf("BLOB", "VARCHAR")
def geo_to_json(data: bytes) -> str:
    made = json.loads(
        shapely.to_geojson(_clockwise(read(data))), parse_float=_json_number, parse_int=_json_number
    )
    text = json.dumps(
        {**made, "crs": {"type": "name", "properties": {"name": "EPSG:0"}}}, separators=(",", ":")
    )
    return re.sub(r'"#([^"]*)"', r"\1", text)


def _json_number(text: str) -> str:
    """Marked, to be written without quotes."""
    value = float(text)
    if value == int(value):
        return f"#{int(value) or '0.0'}"
    digits = repr(value) if 1e-3 <= abs(value) < 1e7 else f"{Decimal(repr(value)):E}".replace("E+", "E")
    return f"#{digits if '.' in digits else digits.replace('E', '.0E')}"


@udf("BLOB", "VARCHAR")
def geo_as_text(data: bytes) -> str:
    return _text(read(data))


_WORDS = {
    "Point": "POINT", "MultiPoint": "MULTIPOINT", "LineString": "LINESTRING", "MultiLineString": "MULTILINESTRING",
    "Polygon": "POLYGON", "MultiPolygon": "MULTIPOLYGON", "GeometryCollection": "GEOMETRYCOLLECTION",
}  # fmt: skip


def _text(g: Any) -> str:
    if g.is_empty:
        return f"{_WORDS[g.geom_type]} EMPTY"
    if g.geom_type == "GeometryCollection":
        return f"GEOMETRYCOLLECTION ({', '.join(map(_text, g.geoms))})"
    return f"{_WORDS[g.geom_type]} {_body(g)}"


def _body(g: Any) -> str:
    if hasattr(g, "geoms"):
        return f"({', '.join(map(_body, g.geoms))})"
    if g.geom_type == "Polygon":
        return f"({', '.join(map(_body, [g.exterior, *g.interiors]))})"
    return f"({', '.join(' '.join(map(_number, c)) for c in g.coords)})"


def _number(value: float) -> str:
    """With as many digits as tell it from its neighbours; in scientific notation with 17."""
    exact = Decimal(repr(value))
    if not value or 1e-4 <= abs(value) < 1e17:
        text = f"{exact:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{exact:.16e}"


# --------------------------------------------------------------------------------------------- predicates


def _predicate(name: str, test: Callable[[Any, Any], Any], empty: bool = False) -> None:
    def compare(a: bytes, b: bytes) -> bool:
        x, y = read(a), read(b)
        return empty if x.is_empty or y.is_empty else bool(test(x, y))

    compare.__name__ = f"geo_{name}"
    udf("BLOB BLOB", "BOOLEAN")(compare)


_predicate("contains", shapely.contains)
_predicate("crosses", shapely.crosses)
_predicate("disjoint", shapely.disjoint, empty=True)
_predicate("intersects", shapely.intersects)
_predicate("overlaps", shapely.overlaps)
_predicate("touches", shapely.touches)
_predicate("within", shapely.within)


@udf("BLOB BLOB", "BOOLEAN")
def geo_equals(a: bytes, b: bytes) -> bool:
    x, y = read(a), read(b)
    return not x.is_empty and bool(shapely.equals(x, y))


@udf("BLOB BLOB VARCHAR", "BOOLEAN")
def geo_relate(a: bytes, b: bytes, relation: str) -> bool:
    try:
        return bool(shapely.relate_pattern(read(a), read(b), relation))
    except shapely.errors.ShapelyError as e:
        raise fail(_INVALID, f"relation string must be 9 characters of T, F, *, 0, 1, 2: {relation}") from e


# --------------------------------------------------------------------------------------------- operations


@udf("BLOB DOUBLE", "BLOB")
def geo_buffer(data: bytes, distance: float) -> bytes | None:
    if math.isnan(distance) or distance < 0:
        raise fail(_INVALID, "distance is NaN" if math.isnan(distance) else "distance is negative")
    g = read(data)
    if not distance:
        return data
    # A circle has 96 vertices.
    return None if g.is_empty else write(shapely.buffer(g, distance, quad_segs=24))


_NOTHING = {
    "Polygon": shapely.MultiPolygon(),
    "MultiPolygon": shapely.MultiPolygon(),
    "LineString": shapely.MultiLineString(),
    "MultiLineString": shapely.MultiLineString(),
}


def _set_operation(name: str, operation: Callable[[Any, Any], Any]) -> None:
    def combine(a: bytes, b: bytes) -> bytes:
        x, made = read(a), operation(read(a), read(b))
        if made.is_empty:
            made = shapely.MultiPolygon() if name == "intersection" else _NOTHING.get(x.geom_type, made)
        return _write_made(made)

    combine.__name__ = f"geo_{name}"
    udf("BLOB BLOB", "BLOB")(combine)


_set_operation("difference", shapely.difference)
_set_operation("intersection", shapely.intersection)
_set_operation("sym_difference", shapely.symmetric_difference)
_set_operation("union", lambda a, b: _union([a, b]))


def _union(items: Iterable[Any]) -> Any:
    united = shapely.union_all(list(items))
    if united.geom_type in LINES:
        return shapely.line_merge(united)
    return united


@udf("BLOB[]", "BLOB")
def geo_union_all(items: list[bytes | None]) -> bytes | None:
    found = [read(d) for d in items if d is not None]
    return _write_made(_union(found)) if found else None


@udf("BLOB[]", "BLOB")
def geo_convex_hull_all(items: list[bytes | None]) -> bytes | None:
    found = [read(d) for d in items if d is not None]
    return _hull(shapely.GeometryCollection(found)) if found else None


@udf("BLOB", "BLOB")
def geo_convex_hull(data: bytes) -> bytes:
    g = read(data)
    return data if g.is_empty or g.geom_type == "Point" else _hull(g)


def _hull(g: Any) -> bytes:
    """It begins at the first of the points that is on it."""
    hull = shapely.orient_polygons(shapely.convex_hull(g))
    if hull.geom_type == "Polygon":
        around = set(hull.exterior.coords)
        first = next(c for c in map(tuple, shapely.get_coordinates(g).tolist()) if c in around)
        hull = shapely.Polygon(_from(hull.exterior, first))
    return write(hull)


@udf("BLOB", "BLOB")
def geo_boundary(data: bytes) -> bytes:
    g = read(data)
    parts = getattr(g, "geoms", [g])
    if g.geom_type in POLYGONS:
        rings = [r for p in parts if not p.is_empty for r in (p.exterior, *p.interiors)]
        return write(shapely.MultiLineString(rings))
    if g.geom_type not in LINES:
        return write(shapely.MultiPoint())
    ends = [line.coords[i] for line in parts if not line.is_empty for i in (0, -1)]
    # Those where an odd number of lines ends.
    return write(shapely.MultiPoint([e for e in dict.fromkeys(ends) if ends.count(e) % 2]))


@udf("BLOB", "BLOB")
def geo_envelope(data: bytes) -> bytes:
    g = read(data)
    return _write_made(shapely.Polygon() if g.is_empty else shapely.box(*g.bounds))


@udf("BLOB", "BLOB[]")
def geo_envelope_corners(data: bytes) -> list[bytes] | None:
    g = read(data)
    if g.is_empty:
        return None
    x0, y0, x1, y1 = g.bounds
    return [geo_point(x0, y0), geo_point(x1, y1)]


@udf("BLOB DOUBLE", "BLOB")
def geo_simplify(data: bytes, tolerance: float) -> bytes:
    if math.isnan(tolerance) or tolerance < 0:
        wrong = "NaN" if math.isnan(tolerance) else "negative"
        raise fail(_INVALID, f"distanceTolerance is {wrong}")
    return write(shapely.simplify(_clockwise(read(data)), tolerance)) if tolerance else data


@udf("BLOB BLOB", "BLOB[]")
def geo_nearest_points(a: bytes, b: bytes) -> list[bytes] | None:
    x, y = read(a), read(b)
    if x.is_empty or y.is_empty:
        return None
    return [write(p) for p in shapely.ops.nearest_points(x, y)]


# ---------------------------------------------------------------------------------------------- accessors


@udf("BLOB", "DOUBLE")
def geo_area(data: bytes) -> float:
    return float(read(data).area)


@udf("BLOB", "BLOB")
def geo_centroid(data: bytes) -> bytes:
    g = only(
        "ST_Centroid",
        read(data),
        "Point",
        "MultiPoint",
        "LineString",
        "MultiLineString",
        "Polygon",
        "MultiPolygon",
    )
    if g.geom_type == "Point":
        return data
    return write(_centre(g)) if g.geom_type in POLYGONS and g.area else write(shapely.centroid(g))


def _centre(g: Any) -> Any:
    """The centroid of polygons, computed as Trino's library does: without moving them to the origin first, which costs
    digits where a polygon is small and far from there."""
    area = x = y = 0.0
    for polygon in getattr(g, "geoms", [g]):
        for ring in (polygon.exterior, *polygon.interiors):
            for (x0, y0), (x1, y1) in itertools.pairwise(ring.coords):
                cross = x0 * y1 - x1 * y0
                area += cross
                x += (x0 + x1) * cross
                y += (y0 + y1) * cross
    return shapely.Point(x / (3 * area), y / (3 * area))


@udf("BLOB BLOB", "DOUBLE")
def geo_distance(a: bytes, b: bytes) -> float | None:
    x, y = read(a), read(b)
    return None if x.is_empty or y.is_empty else float(shapely.distance(x, y))


@udf("BLOB", "TINYINT")
def geo_coordinate_dimension(data: bytes) -> int:
    return int(shapely.get_coordinate_dimension(read(data)))


@udf("BLOB", "TINYINT")
def geo_dimension(data: bytes) -> int:
    return max(0, int(shapely.get_dimensions(read(data))))


@udf("BLOB", "BOOLEAN")
def geo_is_closed(data: bytes) -> bool:
    g = only("ST_IsClosed", read(data), *LINES)
    return all(line.is_closed for line in getattr(g, "geoms", [g]))


@udf("BLOB", "BOOLEAN")
def geo_is_empty(data: bytes) -> bool:
    return bool(read(data).is_empty)


@udf("BLOB", "BOOLEAN")
def geo_is_simple(data: bytes) -> bool:
    g = read(data)
    return g.is_empty or (g.is_simple and (g.is_valid or g.geom_type not in POLYGONS))


@udf("BLOB", "BOOLEAN")
def geo_is_valid(data: bytes) -> bool:
    g = read(data)
    parts = g.geoms if g.geom_type == "GeometryCollection" else [g]
    return all(p.is_valid and (p.is_simple or p.geom_type in POLYGONS) for p in parts)


@udf("BLOB", "VARCHAR")
def geo_invalid_reason(data: bytes) -> None:
    if not geo_is_valid(data):
        # Trino's words and places are those of another library.
        raise fail("NOT_SUPPORTED", "The reason why a geometry is not valid is not supported by local_aws")


@udf("BLOB", "DOUBLE")
def geo_length(data: bytes) -> float:
    return float(only("ST_Length", read(data), *LINES).length)


def _bound(name: str, index: int) -> None:
    def one(data: bytes) -> float | None:
        g = read(data)
        return None if g.is_empty else float(g.bounds[index])

    one.__name__ = f"geo_{name}"
    udf("BLOB", "DOUBLE")(one)


for _index, _name in enumerate(("x_min", "y_min", "x_max", "y_max")):
    _bound(_name, _index)


@udf("BLOB", "DOUBLE")
def geo_x(data: bytes) -> float | None:
    g = only("ST_X", read(data), "Point")
    return None if g.is_empty else float(g.x)


@udf("BLOB", "DOUBLE")
def geo_y(data: bytes) -> float | None:
    g = only("ST_Y", read(data), "Point")
    return None if g.is_empty else float(g.y)


@udf("BLOB", "VARCHAR")
def geo_type(data: bytes) -> str:
    name = str(read(data).geom_type)
    return "ST_GeomCollection" if name == "GeometryCollection" else f"ST_{name}"


@udf("BLOB", "BIGINT")
def geo_num_points(data: bytes) -> int:
    """Without those that close a ring."""
    return _count(read(data))


def _count(g: Any) -> int:
    if g.geom_type == "Polygon":
        rings = [] if g.is_empty else [g.exterior, *g.interiors]
        return sum(len(r.coords) - 1 for r in rings)
    if hasattr(g, "geoms"):
        return sum(map(_count, g.geoms))
    return len(g.coords)


@udf("BLOB", "INTEGER")
def geo_num_geometries(data: bytes) -> int:
    g = read(data)
    return 0 if g.is_empty else len(getattr(g, "geoms", [g]))


@udf("BLOB INTEGER", "BLOB")
def geo_geometry_n(data: bytes, index: int) -> bytes | None:
    g = read(data)
    parts = [] if g.is_empty else list(getattr(g, "geoms", [g]))
    return write(parts[index - 1]) if 1 <= index <= len(parts) else None


@udf("BLOB", "BLOB[]")
def geo_geometries(data: bytes) -> list[bytes] | None:
    g = read(data)
    return None if g.is_empty else [write(part) for part in getattr(g, "geoms", [g])]


@udf("BLOB", "BIGINT")
def geo_num_interior_ring(data: bytes) -> int | None:
    g = only("ST_NumInteriorRing", read(data), "Polygon")
    return None if g.is_empty else len(g.interiors)


@udf("BLOB", "BLOB[]")
def geo_interior_rings(data: bytes) -> list[bytes] | None:
    g = only("ST_InteriorRings", read(data), "Polygon")
    return None if g.is_empty else [write(r) for r in g.interiors]


@udf("BLOB INTEGER", "BLOB")
def geo_interior_ring_n(data: bytes, index: int) -> bytes | None:
    g = only("ST_InteriorRingN", read(data), "Polygon")
    return write(g.interiors[index - 1]) if 1 <= index <= len(g.interiors) else None


@udf("BLOB", "BLOB")
def geo_exterior_ring(data: bytes) -> bytes | None:
    g = only("ST_ExteriorRing", read(data), "Polygon")
    return None if g.is_empty else write(g.exterior)


@udf("BLOB INTEGER", "BLOB")
def geo_point_n(data: bytes, index: int) -> bytes | None:
    g = only("ST_PointN", read(data), "LineString")
    return geo_point(*g.coords[index - 1]) if 1 <= index <= len(g.coords) else None


@udf("BLOB", "BLOB")
def geo_start_point(data: bytes) -> bytes | None:
    g = only("ST_StartPoint", read(data), "LineString")
    return None if g.is_empty else geo_point(*g.coords[0])


@udf("BLOB", "BLOB")
def geo_end_point(data: bytes) -> bytes | None:
    g = only("ST_EndPoint", read(data), "LineString")
    return None if g.is_empty else geo_point(*g.coords[-1])


@udf("BLOB", "BLOB[]")
def geo_points(data: bytes) -> list[bytes] | None:
    g = read(data)
    return None if g.is_empty else [geo_point(*c) for c in shapely.get_coordinates(_clockwise(g)).tolist()]


@udf("BLOB", "BOOLEAN")
def geo_is_ring(data: bytes) -> bool:
    g = only("ST_IsRing", read(data), "LineString")
    return bool(g.is_closed and g.is_simple)


# -------------------------------------------------------------------------------------- along a line


@udf("BLOB BLOB", "DOUBLE")
def geo_locate(line: bytes, point: bytes) -> float | None:
    g, p = read(line), read(point)
    if g.is_empty or p.is_empty:
        return None
    if g.geom_type not in LINES:
        raise fail(
            _INVALID,
            f"First argument to line_locate_point must be a LineString or a MultiLineString. Got: {g.geom_type}",
        )
    if p.geom_type != "Point":
        raise fail(_INVALID, f"Second argument to line_locate_point must be a Point. Got: {p.geom_type}")
    return float(shapely.line_locate_point(g, p)) / float(g.length)


@udf("BLOB DOUBLE", "BLOB")
def geo_interpolate(data: bytes, fraction: float) -> bytes | None:
    g = read(data)
    return None if g.is_empty else _along(g, fraction, 1)[0]


@udf("BLOB DOUBLE", "BLOB[]")
def geo_interpolate_all(data: bytes, step: float) -> list[bytes] | None:
    g = read(data)
    return None if g.is_empty else _along(g, step, math.floor(1 / step) if 0 < step < 1 else 1)


def _along(g: Any, step: float, count: int) -> list[bytes]:
    """Points at as many steps along a line; one that rounding has put behind the end is the end."""
    only("line_interpolate_point", g, "LineString")
    if not 0 <= step <= 1:
        raise fail(_INVALID, "fraction must be between 0 and 1")
    if step in (0, 1):
        return [geo_point(*g.coords[-int(step)])]
    out: list[bytes] = []
    total, passed, fraction = float(g.length), 0.0, step
    for (x0, y0), (x1, y1) in itertools.pairwise(g.coords):
        share = math.hypot(x1 - x0, y1 - y0) / total
        while fraction < passed + share and len(out) < count:
            part = (fraction - passed) / share
            out.append(geo_point(x0 + (x1 - x0) * part, y0 + (y1 - y0) * part))
            fraction += step
        passed += share
    return out if len(out) == count else [*out, geo_point(*g.coords[-1])]
