"""The dashboard: what the pipelines published, read through Amazon Athena."""
