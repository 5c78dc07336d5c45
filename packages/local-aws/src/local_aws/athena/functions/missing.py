"""What Trino and Athena have and this engine has not, so that a message can tell the two apart."""

MISSING = {
    "bar", "beta_cdf", "color", "current_groups",
    "from_iso8601_timestamp_nanos", "hash_counts", "intersection_cardinality", "inverse_beta_cdf", "jaccard_index",
    "make_set_digest", "merge_set_digest",
    "render", "rgb", "spatial_partitioning", "spatial_partitions", "spooky_hash_v2_32",
    "spooky_hash_v2_64", "word_stem",
}  # fmt: skip
