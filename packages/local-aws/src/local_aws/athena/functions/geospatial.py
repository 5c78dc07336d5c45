"""Geometries, on a plane and on a sphere, and Bing's tiles (https://trino.io/docs/435/functions/geospatial.html).

They are computed in Python; see udf.geospatial and udf.tiles.
"""

from __future__ import annotations

from local_aws.athena import types as ty
from local_aws.athena.expressions import E
from local_aws.athena.functions.registry import Call, Overload, Parameter, Special, Table
from local_aws.athena.types import (
    BIGINT,
    BING_TILE,
    BOOLEAN,
    DOUBLE,
    GEOMETRY,
    INTEGER,
    SPHERICAL,
    TINYINT,
    VARBINARY,
    VARCHAR,
    Type,
)

_GEOMETRIES = ty.array(GEOMETRY)
_TILES = ty.array(BING_TILE)


def _geo(name: str, result: Type, *parameters: Parameter) -> list[Overload]:
    """A function of geometries, unless other parameters are named."""
    return [Overload(parameters or (GEOMETRY,), result, f"py_geo_{name}")]


def _tile(name: str, result: Type, *parameters: Parameter) -> list[Overload]:
    return [Overload(parameters or (BING_TILE,), result, f"py_tile_{name}")]


def _two(name: str, result: Type) -> list[Overload]:
    return _geo(name, result, GEOMETRY, GEOMETRY)


def _relation(name: str) -> list[Overload]:
    return _two(name, BOOLEAN)


def _unchanged(result: Type, parameter: Type) -> list[Overload]:
    return [Overload((parameter,), result, lambda g: g)]


def _nearest(c: Call, a: E, b: E) -> E:
    if (a.type, b.type) != (GEOMETRY, GEOMETRY):
        raise c.unexpected()
    points = f"py_geo_nearest_points({a.sql}, {b.sql})"
    t = ty.row((None, GEOMETRY), (None, GEOMETRY))
    return E(f"CASE WHEN {points} IS NOT NULL THEN {{'_0': {points}[1], '_1': {points}[2]}} END", t)


def _coordinates(c: Call, tile: E) -> E:
    if tile.type != BING_TILE:
        raise c.unexpected()
    x, y = (f"CAST({tile.sql} >> {bits} & 33554431 AS INTEGER)" for bits in (25, 0))
    return E(
        f"CASE WHEN {tile.sql} IS NOT NULL THEN {{'x': {x}, 'y': {y}}} END",
        ty.row(("x", INTEGER), ("y", INTEGER)),
    )


FUNCTIONS: Table = {
    "bing_tile": [
        *_tile("of_xy", BING_TILE, INTEGER, INTEGER, INTEGER),
        *_tile("of_key", BING_TILE, VARCHAR),
    ],
    "bing_tile_at": _tile("at", BING_TILE, DOUBLE, DOUBLE, INTEGER),
    "bing_tile_coordinates": Special(_coordinates),
    "bing_tile_polygon": _tile("polygon", GEOMETRY),
    "bing_tile_quadkey": _tile("key", VARCHAR),
    "bing_tile_zoom_level": [Overload((BING_TILE,), TINYINT, lambda tile: f"CAST({tile} >> 50 AS TINYINT)")],
    "bing_tiles_around": [
        *_tile("neighbours", _TILES, DOUBLE, DOUBLE, INTEGER),
        *_tile("around", _TILES, DOUBLE, DOUBLE, INTEGER, DOUBLE),
    ],
    "from_encoded_polyline": _geo("from_polyline", GEOMETRY, VARCHAR),
    "from_geojson_geometry": _geo("from_json", SPHERICAL, VARCHAR),
    "geometry_from_hadoop_shape": _geo("from_hadoop_shape", GEOMETRY, VARBINARY),
    "geometry_invalid_reason": _geo("invalid_reason", VARCHAR),
    "geometry_nearest_points": Special(_nearest),
    "geometry_to_bing_tiles": _tile("cover", _TILES, GEOMETRY, INTEGER),
    "geometry_union": _geo("union_all", GEOMETRY, _GEOMETRIES),
    "great_circle_distance": _geo("great_circle", DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE),
    "line_interpolate_point": _geo("interpolate", GEOMETRY, GEOMETRY, DOUBLE),
    "line_interpolate_points": _geo("interpolate_all", _GEOMETRIES, GEOMETRY, DOUBLE),
    "line_locate_point": _two("locate", DOUBLE),
    "simplify_geometry": _geo("simplify", GEOMETRY, GEOMETRY, DOUBLE),
    "st_area": [*_geo("area", DOUBLE), *_geo("spherical_area", DOUBLE, SPHERICAL)],
    "st_asbinary": _unchanged(VARBINARY, GEOMETRY),
    "st_astext": _geo("as_text", VARCHAR),
    "st_boundary": _geo("boundary", GEOMETRY),
    "st_buffer": _geo("buffer", GEOMETRY, GEOMETRY, DOUBLE),
    "st_centroid": _geo("centroid", GEOMETRY),
    "st_contains": _relation("contains"),
    "st_convexhull": _geo("convex_hull", GEOMETRY),
    "st_coorddim": _geo("coordinate_dimension", TINYINT),
    "st_crosses": _relation("crosses"),
    "st_difference": _two("difference", GEOMETRY),
    "st_dimension": _geo("dimension", TINYINT),
    "st_disjoint": _relation("disjoint"),
    "st_distance": [
        *_two("distance", DOUBLE),
        *_geo("spherical_distance", DOUBLE, SPHERICAL, SPHERICAL),
    ],
    "st_endpoint": _geo("end_point", GEOMETRY),
    "st_envelope": _geo("envelope", GEOMETRY),
    "st_envelopeaspts": _geo("envelope_corners", _GEOMETRIES),
    "st_equals": _relation("equals"),
    "st_exteriorring": _geo("exterior_ring", GEOMETRY),
    "st_geometries": _geo("geometries", _GEOMETRIES),
    "st_geometryfromtext": _geo("from_text", GEOMETRY, VARCHAR),
    "st_geometryn": _geo("geometry_n", GEOMETRY, GEOMETRY, INTEGER),
    "st_geometrytype": _geo("type", VARCHAR),
    "st_geomfrombinary": _geo("from_binary", GEOMETRY, VARBINARY),
    "st_interiorringn": _geo("interior_ring_n", GEOMETRY, GEOMETRY, INTEGER),
    "st_interiorrings": _geo("interior_rings", _GEOMETRIES),
    "st_intersection": _two("intersection", GEOMETRY),
    "st_intersects": _relation("intersects"),
    "st_isclosed": _geo("is_closed", BOOLEAN),
    "st_isempty": _geo("is_empty", BOOLEAN),
    "st_isring": _geo("is_ring", BOOLEAN),
    "st_issimple": _geo("is_simple", BOOLEAN),
    "st_isvalid": _geo("is_valid", BOOLEAN),
    "st_length": [*_geo("length", DOUBLE), *_geo("spherical_length", DOUBLE, SPHERICAL)],
    "st_linefromtext": _geo("line_from_text", GEOMETRY, VARCHAR),
    "st_linestring": _geo("line_string", GEOMETRY, _GEOMETRIES),
    "st_multipoint": _geo("multi_point", GEOMETRY, _GEOMETRIES),
    "st_numgeometries": _geo("num_geometries", INTEGER),
    "st_numinteriorring": _geo("num_interior_ring", BIGINT),
    "st_numpoints": _geo("num_points", BIGINT),
    "st_overlaps": _relation("overlaps"),
    "st_point": _geo("point", GEOMETRY, DOUBLE, DOUBLE),
    "st_pointn": _geo("point_n", GEOMETRY, GEOMETRY, INTEGER),
    "st_points": _geo("points", _GEOMETRIES),
    "st_polygon": _geo("polygon", GEOMETRY, VARCHAR),
    "st_relate": _geo("relate", BOOLEAN, GEOMETRY, GEOMETRY, VARCHAR),
    "st_startpoint": _geo("start_point", GEOMETRY),
    "st_symdifference": _two("sym_difference", GEOMETRY),
    "st_touches": _relation("touches"),
    "st_union": _two("union", GEOMETRY),
    "st_within": _relation("within"),
    "st_x": _geo("x", DOUBLE),
    "st_xmax": _geo("x_max", DOUBLE),
    "st_xmin": _geo("x_min", DOUBLE),
    "st_y": _geo("y", DOUBLE),
    "st_ymax": _geo("y_max", DOUBLE),
    "st_ymin": _geo("y_min", DOUBLE),
    "to_encoded_polyline": _geo("to_polyline", VARCHAR),
    "to_geojson_geometry": _geo("to_json", VARCHAR, SPHERICAL),
    "to_geometry": _unchanged(GEOMETRY, SPHERICAL),
    "to_spherical_geography": _geo("to_spherical", SPHERICAL),
}
