"""What Trino and Athena have and this engine has not, so that a message can tell the two apart."""

MISSING = {
    "approx_most_frequent", "approx_set", "bar", "beta_cdf", "checksum", "color", "current_groups", "empty_approx_set",
    "from_iso8601_timestamp_nanos", "hash_counts", "intersection_cardinality", "inverse_beta_cdf", "jaccard_index",
    "make_set_digest", "merge", "merge_set_digest", "numeric_histogram", "parse_presto_data_size", "qdigest_agg",
    "quantile_at_value", "render", "rgb", "spatial_partitioning", "spatial_partitions", "spooky_hash_v2_32",
    "spooky_hash_v2_64", "tdigest_agg", "value_at_quantile", "values_at_quantiles", "word_stem",
}  # fmt: skip
