"""The library the MedLaunch DAGs are wired from; see docs/architecture.md."""
