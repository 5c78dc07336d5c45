"""Geometries as others write them: Google's polylines, ESRI's shapes."""

from __future__ import annotations

import itertools
import math
import struct
from typing import Any

import shapely

from local_aws.athena.udf import fail, udf
from local_aws.athena.udf.geospatial import only, read, write

_INVALID = "INVALID_FUNCTION_ARGUMENT"


@udf("BLOB", "VARCHAR")
def geo_to_polyline(data: bytes) -> str:
    """https://developers.google.com/maps/documentation/utilities/polylinealgorithm"""
    g = only("encode_polyline", read(data), "MultiPoint", "LineString")
    text, last = "", (0, 0)
    for x, y in shapely.get_coordinates(g).tolist():
        here = (math.floor(y * 1e5 + 0.5), math.floor(x * 1e5 + 0.5))
        for now, before in zip(here, last, strict=True):
            value = (now - before) << 1 if now >= before else ~((now - before) << 1)
            while value >= 32:
                text += chr((32 | value & 31) + 63)
                value >>= 5
            text += chr(value + 63)
        last = here
    return text


@udf("VARCHAR", "BLOB")
def geo_from_polyline(text: str) -> bytes:
    numbers, value, shift = [], 0, 0
    for ch in text:
        chunk = ord(ch) - 63
        value |= (chunk & 31) << shift
        shift += 5
        if chunk < 32:
            numbers.append(~(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    x = y = 0
    points = []
    for dy, dx in zip(numbers[::2], numbers[1::2], strict=False):
        x, y = x + dx, y + dy
        points.append((x / 1e5, y / 1e5))
    return write(shapely.LineString(points))


@udf("BLOB", "BLOB")
def geo_from_hadoop_shape(data: bytes) -> bytes:
    """Hive's user-defined types of ESRI: a spatial reference of 4 bytes, a type of 1, and a shape."""
    if len(data) <= 5:
        raise fail(_INVALID, "Hadoop shape input is too short")
    if data[4] > 6:
        raise fail(_INVALID, f"Invalid Hadoop shape type: {data[4]}")
    try:
        return write(_of_shape(data[5:], data[4]))
    except struct.error as e:
        raise fail(_INVALID, "Invalid Hadoop shape") from e


def _of_shape(shape: bytes, kind: int) -> Any:
    """The geometry of ESRI's shapefile format. kind: point, line, polygon, and the same as multiples."""
    (form,) = struct.unpack_from("<i", shape)
    if form == 1:
        return shapely.Point(*struct.unpack_from("<2d", shape, 4))
    if form == 8:
        (count,) = struct.unpack_from("<i", shape, 36)
        return shapely.MultiPoint([struct.unpack_from("<2d", shape, 40 + 16 * i) for i in range(count)])
    if form not in (3, 5):
        raise fail(_INVALID, "Invalid Hadoop shape")
    parts, points = struct.unpack_from("<2i", shape, 36)
    starts = [*struct.unpack_from(f"<{parts}i", shape, 44), points]
    first = 44 + 4 * parts
    paths = [
        [struct.unpack_from("<2d", shape, first + 16 * i) for i in range(a, b)]
        for a, b in itertools.pairwise(starts)
    ]
    if form == 3:
        lines = shapely.MultiLineString(paths)
        return lines.geoms[0] if kind == 2 else lines
    polygons: list[tuple[Any, list[Any]]] = []
    for path in paths:
        if shapely.is_ccw(shapely.LinearRing(path)) and polygons:
            polygons[-1][1].append(path)
        else:
            polygons.append((path, []))
    made = shapely.MultiPolygon(polygons)
    return made.geoms[0] if kind == 3 else made
