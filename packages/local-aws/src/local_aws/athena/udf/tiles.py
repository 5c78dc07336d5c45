"""Bing's tiles (https://learn.microsoft.com/bingmaps/articles/bing-maps-tile-system), kept as integers: zoom level, x, y."""

from __future__ import annotations

import math
from typing import Any

import shapely

from local_aws.athena.udf import fail, udf
from local_aws.athena.udf.geospatial import read, write
from local_aws.athena.udf.sphere import EARTH_RADIUS_KM, geo_great_circle

_INVALID = "INVALID_FUNCTION_ARGUMENT"
_MAX_ZOOM = 23
_MAX_LATITUDE = 85.05112878
_PIXELS = 256
_MOST_TILES = 1_000_000
# Beyond it, tiles of this level are divided until they are inside or outside.
_COARSE_ZOOM = 10


def _encode(x: int, y: int, zoom: int) -> int:
    return zoom << 50 | x << 25 | y


def _decode(tile: int) -> tuple[int, int, int]:
    """x, y and the zoom level."""
    return tile >> 25 & 0x1FFFFFF, tile & 0x1FFFFFF, tile >> 50


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise fail(_INVALID, message)


def _check_zoom(zoom: int) -> None:
    _check(zoom > 0, "Zoom level must be > 0")
    _check(zoom <= _MAX_ZOOM, f"Zoom level must be <= {_MAX_ZOOM}")


def _check_place(latitude: float, longitude: float) -> None:
    _check(
        -_MAX_LATITUDE <= latitude <= _MAX_LATITUDE,
        f"Latitude must be between -{_MAX_LATITUDE} and {_MAX_LATITUDE}",
    )
    _check(-180 <= longitude <= 180, "Longitude must be between -180.0 and 180.0")


def _at(latitude: float, longitude: float, zoom: int) -> tuple[int, int]:
    size = _PIXELS << zoom
    sine = math.sin(latitude * math.pi / 180)
    axes = ((longitude + 180) / 360, 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi))
    x, y = (int(min(max(a * size, 0), size - 1)) // _PIXELS for a in axes)
    return x, y


def _corner(x: int, y: int, zoom: int) -> tuple[float, float]:
    """Longitude and latitude of a tile's upper left corner."""
    across, down = (min(max(v / (1 << zoom), 0), 1) for v in (x, y))
    return 360 * (across - 0.5), 90 - 360 * math.atan(math.exp(-(0.5 - down) * 2 * math.pi)) / math.pi


def _box(x: int, y: int, zoom: int) -> Any:
    west, north = _corner(x, y, zoom)
    east, south = _corner(x + 1, y + 1, zoom)
    return shapely.Polygon([(west, south), (east, south), (east, north), (west, north)])


@udf("BIGINT BIGINT BIGINT", "BIGINT")
def tile_of_xy(x: int, y: int, zoom: int) -> int:
    _check_zoom(zoom)
    for v in (x, y):
        _check(
            0 <= v < 1 << zoom,
            f"XY coordinates for a Bing tile at zoom level {zoom} must be within [0, {1 << zoom}) range",
        )
    return _encode(x, y, zoom)


@udf("VARCHAR", "BIGINT")
def tile_of_key(key: str) -> int:
    _check(bool(key), "QuadKey must not be empty string")
    _check(len(key) <= _MAX_ZOOM, f"QuadKey must be {_MAX_ZOOM} characters or less")
    x = y = 0
    for digit in key:
        _check(digit in "0123", f"Invalid QuadKey digit sequence: {key}")
        x, y = x << 1 | int(digit) & 1, y << 1 | int(digit) >> 1
    return _encode(x, y, len(key))


@udf("BIGINT", "VARCHAR")
def tile_key(tile: int) -> str:
    x, y, zoom = _decode(tile)
    return "".join(str((x >> i & 1) + 2 * (y >> i & 1)) for i in range(zoom - 1, -1, -1))


@udf("BIGINT", "VARCHAR")
def tile_text(tile: int) -> str:
    x, y, zoom = _decode(tile)
    return f'{{"x":{x},"y":{y},"zoom":{zoom}}}'


@udf("BIGINT", "BLOB")
def tile_polygon(tile: int) -> bytes:
    return write(_box(*_decode(tile)))


@udf("DOUBLE DOUBLE BIGINT", "BIGINT")
def tile_at(latitude: float, longitude: float, zoom: int) -> int:
    _check_place(latitude, longitude)
    _check_zoom(zoom)
    return _encode(*_at(latitude, longitude, zoom), zoom)


@udf("DOUBLE DOUBLE BIGINT", "BIGINT[]")
def tile_neighbours(latitude: float, longitude: float, zoom: int) -> list[int]:
    _check_place(latitude, longitude)
    _check_zoom(zoom)
    x, y = _at(latitude, longitude, zoom)
    last = (1 << zoom) - 1
    return [
        _encode(i, j, zoom)
        for i in (x - 1, x, x + 1)
        for j in (y - 1, y, y + 1)
        if 0 <= i <= last and 0 <= j <= last
    ]


@udf("DOUBLE DOUBLE BIGINT DOUBLE", "BIGINT[]")
def tile_around(latitude: float, longitude: float, zoom: int, radius: float) -> list[int]:
    """The tiles that a circle of `radius` kilometres touches, each where a corner of it is inside or it holds the
    circle's most northern, eastern, southern or western point's row or column."""
    _check_place(latitude, longitude)
    _check_zoom(zoom)
    _check(radius >= 0, "Radius must be >= 0")
    _check(radius <= 1000, "Radius must be <= 1,000 km")
    count = 1 << zoom
    x, y = _at(latitude, longitude, zoom)
    ratio, phi = radius / EARTH_RADIUS_KM, math.radians(latitude)

    def north(sign: int) -> float:
        moved = math.asin(math.sin(phi) * math.cos(ratio) + sign * math.cos(phi) * math.sin(ratio))
        return min(max(math.degrees(moved), -_MAX_LATITUDE), _MAX_LATITUDE)

    def east(sign: int) -> float:
        turned = math.atan2(sign * math.sin(ratio) * math.cos(phi), math.cos(ratio) - math.sin(phi) ** 2)
        moved = math.degrees(math.radians(longitude) + turned)
        return moved - 360 if moved > 180 else moved + 360 if moved < -180 else moved

    top, bottom = (_at(north(s), longitude, zoom)[1] for s in (1, -1))
    left, right = (_at(latitude, east(s), zoom)[0] for s in (-1, 1))
    across = (right - left) % count + 1
    total = across * (bottom - top + 1)
    _check(
        total <= _MOST_TILES,
        f"The number of tiles covering input rectangle exceeds the limit of 1M. Number of tiles: {total}. "
        f"Radius: {radius:.1f} km. Zoom level: {zoom}.",
    )
    out = [_encode((left + i) % count, y, zoom) for i in range(across)]
    out += [_encode(x, j, zoom) for j in range(top, bottom + 1) if j != y]

    def within(corner_x: int, corner_y: int) -> bool:
        lon, lat = _corner(corner_x, corner_y, zoom)
        return bool(geo_great_circle(latitude, longitude, lat, lon) <= radius)

    # In the corners of the rectangle, from outside to inside: all that follow one whose nearest corner is inside.
    sides = (
        ([(right - i) % count for i in range((right - x) % count)], 0),
        ([(left + i) % count for i in range((x - left) % count)], 1),
    )
    for columns, dx in sides:
        for i in columns:
            for rows, dy in ((range(top, y), 1), (range(bottom, y, -1), 0)):
                inside = False
                for j in rows:
                    inside = inside or within(i + dx, j + dy)
                    if inside:
                        out.append(_encode(i, j, zoom))
    return out


@udf("BLOB BIGINT", "BIGINT[]")
def tile_cover(data: bytes, zoom: int) -> list[int]:
    """The tiles that a geometry touches, column by column."""
    _check_zoom(zoom)
    g = read(data)
    if g.is_empty:
        return []
    west, south, east, north = g.bounds
    for latitude in (south, north):
        _check(
            -_MAX_LATITUDE <= latitude <= _MAX_LATITUDE,
            "Latitude span for the geometry must be in [-85.05, 85.05] range",
        )
    for longitude in (west, east):
        _check(-180 <= longitude <= 180, "Longitude span for the geometry must be in [-180.00, 180.00] range")
    x0, y0 = _at(north, west, zoom)
    x1, y1 = _at(south, east, zoom)
    # What touches the last column or row with its border only.
    corner = _corner(x1, y1, zoom)
    x1 -= corner[0] == east and x1 > x0
    y1 -= corner[1] == south and y1 > y0
    simple = g.geom_type == "Point" or shapely.equals(g, shapely.box(*g.bounds))
    count = (x1 - x0 + 1) * (y1 - y0 + 1)
    if simple:
        _check(
            count <= _MOST_TILES,
            f"The number of tiles covering input rectangle exceeds the limit of 1M. Number of tiles: {count}. "
            f"Rectangle: xMin={west:.2f}, yMin={south:.2f}, xMax={east:.2f}, yMax={north:.2f}. Zoom level: {zoom}.",
        )
    else:
        _check(
            count * shapely.get_num_coordinates(g) <= 25 * _MOST_TILES,
            "The zoom level is too high or the geometry is too complex to compute a set of covering Bing tiles. "
            "Please use a lower zoom level or convert the geometry to its bounding box using the ST_Envelope function.",
        )
        shapely.prepare(g)
    first = zoom if simple else min(zoom, _COARSE_ZOOM)
    finer = zoom - first
    out: list[int] = []
    for i in range(x0 >> finer, (x1 >> finer) + 1):
        for j in range(y0 >> finer, (y1 >> finer) + 1):
            if simple:
                out.append(_encode(i, j, zoom))
            else:
                _touched(g, i, j, first, zoom, out)
    return out


def _touched(g: Any, x: int, y: int, level: int, zoom: int, out: list[int]) -> None:
    """The tiles of a zoom level inside of one of a coarser level that touch a geometry."""
    box = _box(x, y, level)
    if not shapely.intersects(g, box):
        return
    if level == zoom:
        out.append(_encode(x, y, zoom))
    elif shapely.contains(g, box):
        size = 1 << (zoom - level)
        out += [_encode(x * size + i, y * size + j, zoom) for i in range(size) for j in range(size)]
    else:
        for i in (2 * x, 2 * x + 1):
            for j in (2 * y, 2 * y + 1):
                _touched(g, i, j, level + 1, zoom, out)
