"""Containers and Amazon MWAA: what Amazon MWAA reads, and how it gets there."""
