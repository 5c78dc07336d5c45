"""Amazon Athena on a laptop: its API, its catalog, its SQL, its result files."""
