"""Where the files of CMS come from: public catalogues, without keys or accounts."""

from __future__ import annotations

from medlaunch.ingest.fetch import Catalogue, Source, Wanted

_EXTENSIONS = (".csv", ".csv.gz", ".zip")

#: What the DAG fetch_cms_files fetches unless an Airflow Variable names other sources.
CMS_SOURCES: tuple[Source, ...] = (
    Catalogue(
        name="cms-data",
        url="https://data.cms.gov/data.json",
        wanted=(
            Wanted(title="Payroll Based Journal Daily Nurse Staffing", dataset="pbj", extensions=_EXTENSIONS),
        ),
    ),
    Catalogue(
        name="cms-provider-data",
        url="https://data.cms.gov/provider-data/data.json",
        wanted=(
            Wanted(
                title="Provider Information",
                identifier="4pq5-n9py",
                dataset="provider_info",
                extensions=_EXTENSIONS,
            ),
        ),
    ),
)

#: Where fetched files may land, whatever the sources; the workers' role may write there.
FETCHED_DATASETS = tuple(sorted({dataset for source in CMS_SOURCES for dataset in source.datasets}))
