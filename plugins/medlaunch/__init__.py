"""The library the MedLaunch DAGs are wired from; see docs/architecture.md."""

#: As in pyproject.toml; the library travels without its package's metadata.
__version__ = "0.1.0"
