"""The other homes of this repository: what Amazon MWAA reads, and how it gets there."""
