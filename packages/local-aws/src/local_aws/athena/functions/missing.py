"""What Trino has and this engine has not, so that a message can tell the two apart."""

MISSING = {
    "approx_most_frequent", "approx_set", "array_frequency", "bar", "beta_cdf", "bing_tile", "char2hexint", "checksum",
    "classify", "color", "convex_hull_agg", "evaluate_classifier_predictions", "from_encoded_polyline",
    "from_geojson_geometry", "hash_counts", "inverse_beta_cdf", "learn_classifier", "learn_regressor",
    "make_set_digest", "merge_set_digest", "murmur3", "numeric_histogram", "objectid", "parse_presto_data_size",
    "qdigest_agg", "render", "rgb", "spooky_hash_v2_32", "spooky_hash_v2_64", "st_area", "st_contains",
    "st_distance", "st_point", "t_test", "tdigest_agg", "value_at_quantile", "word_stem", "xxhash64",
}  # fmt: skip
