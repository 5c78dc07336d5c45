"""What the pages are made of: data and where it is from, filters in the URL, figures with table, download and definition."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import columns, places
from dashboard.config import Config
from dashboard.definitions import DEFINITIONS
from dashboard.errors import QueryError
from dashboard.queries import ROWS, Query, Reader, versions

PAGE_ROWS = 100
_RUN_PAGE = "views/run.py"


class NothingPublished(QueryError):
    kind = "empty"


@st.cache_resource(show_spinner=False)
def _reader(config: Config) -> Reader:
    return Reader(config)


def reader() -> Reader:
    """The reader of this process: its answers are shared by all sessions."""
    return _reader(Config.from_environment())


# --- what is published


@dataclass(frozen=True)
class Published:
    """What a pipeline shows readers now. ``slices``: rows of ``common/published``, the newest slice first."""

    pipeline: str
    version: str
    slices: pd.DataFrame

    def query(self, name: str, **values: str | int) -> Query:
        """A query over what is published now."""
        return Query.of(name, self.version, **values)

    def of_slice(self, name: str) -> pd.Series:
        return self.slices[self.slices["slice"] == name].iloc[0]

    @property
    def names(self) -> list[str]:
        return list(self.slices["slice"])


_PUBLISHED = Query.of("common/published")


def all_published() -> pd.DataFrame:
    """The newest publication of each slice, as it was seen last: a page does not wait for it, see :func:`outdated`."""
    [answer] = reader().rows(_PUBLISHED)
    st.session_state["published"] = versions(answer.frame)
    return answer.frame


def outdated() -> bool:
    """Whether something was published that the page, which has just been drawn, does not show."""
    shown = st.session_state.pop("published", None)
    return shown is not None and versions(reader().current(_PUBLISHED).frame) != shown


def begin(*queries: Query) -> None:
    """Start queries that the page will ask for, beside those that it waits for first."""
    reader().begin(*queries)


def published(pipeline: str, how: str) -> Published:
    """What a pipeline has published.

    Raises:
        NothingPublished: with ``how`` it comes to be.
    """
    frame = all_published()
    # A DAG may run several pipelines; their names begin with its id.
    rows = frame[frame["pipeline"].str.fullmatch(rf"{pipeline}(\W.*)?")].reset_index(drop=True)
    if rows.empty:
        raise NothingPublished(f"The pipeline {pipeline} has not published anything yet.", how)
    return Published(pipeline, "-".join(versions(rows).values()), rows)


def answers(*queries: Query) -> list[pd.DataFrame]:
    """The tables of queries, which run side by side."""
    found = reader().rows(*queries)
    if any(one.cut for one in found):
        st.warning(f"There are more than {ROWS:,} rows; the first {ROWS:,} are shown. Choose one state.")
    return [one.frame.copy(deep=False) for one in found]


def source_line(published: Published, row: pd.Series, what: str) -> None:
    """Data as of: which slice, published when, with a link to the report of its run."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    params = json.loads(row["params"]) if isinstance(row["params"], str) else {}
    as_of = f" · looked at on {params['as_of']}" if params.get("as_of") else ""
    rolled = f" · rolled back: {plain(row['reason'])}" if row["action"] == "rollback" else ""
    with left:
        note(
            f"Data as of: {what} {row['slice']}{as_of} · published {row['published_at']:%Y-%m-%d %H:%M} UTC{rolled} · "
            f"version {published.version}"
        )
    with right:
        run = str(row["published_by"])
        st.page_link(
            _RUN_PAGE,
            label="Run report",
            icon=":material/description:",
            query_params={"pipeline": str(row["pipeline"]), "run": run},
        )


def airflow_link(pipeline: str, run_id: str) -> str | None:
    """The address of a run in Airflow's UI, if the dashboard knows where that is."""
    url = reader().config.airflow_url.rstrip("/")
    return f"{url}/dags/{quote(pipeline)}/runs/{quote(run_id)}" if url else None


# --- filters, kept in the URL


def chosen(key: str, default: str = "") -> str:
    """The value of a filter, before it is drawn, so that queries need not wait for it.

    The URL wins where it has changed since it was written here: a shared link, a link of a page, the back button.
    """
    url, written = st.query_params.get(key), st.session_state.get(_written(key))
    if url is not None and url != written:
        st.session_state[_kept(key)] = url
    value = st.session_state.get(_kept(key))
    return default if value is None else str(value)


def _written(key: str) -> str:
    return f"{key} in the URL"


def _kept(key: str) -> str:
    return f"{key} kept"


def _keep(key: str, value: str, default: str = "") -> str:
    """Keep the value of a filter for other pages, and write it into the URL; not the default, which may move."""
    st.session_state[_kept(key)] = value if value != default else None
    st.session_state[_written(key)] = value if value != default else None
    if value == default:
        if key in st.query_params:
            del st.query_params[key]
    elif st.query_params.get(key) != value:
        st.query_params[key] = value
    return value


def _changed(key: str, convert: Callable[[Any], str]) -> Callable[[], None]:
    """Called when a reader changes a filter, before the page runs: queries use the new value at once."""

    def take() -> None:
        value = convert(st.session_state[key])
        st.session_state[_kept(key)] = value
        # The URL still has the old value, which is not newer than this one.
        st.session_state[_written(key)] = st.query_params.get(key)

    return take


def select(
    label: str,
    key: str,
    options: Sequence[str],
    *,
    every: str | None = None,
    names: Mapping[str, str] | None = None,
    help: str | None = None,
    fixed: bool = False,
) -> str:
    """A filter in the sidebar, searchable, in the URL as ``key``. ``every``: what '' is called, if it is a choice.

    ``names``: what the options are called. ``fixed``: the first option is in the URL too, as it will not stay the first.
    """
    choices = [*([""] if every is not None else []), *options]
    if not choices:
        return ""
    asked = chosen(key, choices[0])
    value = asked if asked in choices else choices[0]

    def name(option: str) -> str:
        if option == "":
            return every or ""
        return names.get(option, option) if names else option

    st.session_state[key] = value
    with st.sidebar:
        st.selectbox(label, choices, format_func=name, key=key, help=help, on_change=_changed(key, str))
    _keep(key, value, "" if fixed else choices[0])
    if value != asked:
        # The URL had a value that does not exist; queries may have used it already.
        st.rerun()
    return value


def text(label: str, key: str, help: str | None = None) -> str:
    """A text in the sidebar, in the URL as ``key``."""
    value = chosen(key)[:100]
    st.session_state[key] = value
    with st.sidebar:
        st.text_input(label, key=key, max_chars=100, help=help, on_change=_changed(key, str))
    return _keep(key, value)


def state_filter() -> str:
    names = {code: f"{name} ({code})" for code, name in places.names().items()}
    return select("State", "state", list(names), every="All states", names=names)


def asked_page(*filters: str) -> int:
    """The page of a long table that is asked for, from 1. Other ``filters`` begin at the first page."""
    before = st.session_state.get("filters of page")
    st.session_state["filters of page"] = filters
    asked = chosen("page", "1")
    if before not in (None, filters):
        st.session_state[_kept("page")] = asked = "1"
    return int(asked) if asked.isdecimal() and 0 < int(asked) <= 1_000_000 else 1


def pager(total: int) -> None:
    """A control for the pages of a long table, if there is more than one page."""
    pages = max(1, -(-total // PAGE_ROWS))
    asked = chosen("page", "1")
    value = min(int(asked), pages) if asked.isdecimal() and int(asked) > 0 else 1
    if pages > 1:
        st.session_state["page"] = value
        st.number_input(
            f"Page (1 to {pages:,}, {PAGE_ROWS} rows each)",
            min_value=1,
            max_value=pages,
            key="page",
            width=220,
            on_change=_changed("page", str),
        )
    _keep("page", str(value), "1")
    if asked != str(value):
        st.rerun()


# --- figures


def definition(key: str) -> None:
    """What a number is, one click away."""
    one = DEFINITIONS[key]
    with st.popover("Definition", icon=":material/menu_book:", type="tertiary"):
        st.markdown(f"**{one.title}**  \n{one.text}")
        if one.numerator:
            st.markdown(f"Numerator: {one.numerator}  \nDenominator: {one.denominator}")
        if one.limits:
            st.markdown(f"What it does not show: {one.limits}")
        note(f"From {one.source}")


def headline(title: str, about: str | None = None, summary: str | None = None) -> None:
    """The title of a figure with its definition, and a sentence that says what it shows."""
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.subheader(title)
    if about:
        with right:
            definition(about)
    if summary:
        st.markdown(summary)


def chart(figure: Any, alt_text: str, height: int | None = None) -> None:
    """A chart of Altair or a Vega-Lite specification, with a text for those who do not see it."""
    if isinstance(figure, dict):
        st.vega_lite_chart(figure, width="stretch", alt=alt_text)
        return
    if height:
        figure = figure.properties(height=height)
    st.altair_chart(figure, width="stretch", alt=alt_text)


def table(
    frame: pd.DataFrame,
    name: str,
    published: Published | None = None,
    *,
    label: str,
    full: Callable[[], pd.DataFrame] | None = None,
    full_rows: int = 0,
    height: int | str = "auto",
) -> None:
    """A table with its downloads: exactly what is shown, and with ``full`` all pages of it."""
    st.dataframe(
        frame,
        hide_index=True,
        column_config=columns.config_of(list(frame.columns)),
        alt=label,
        height=height,
        placeholder="\N{EN DASH}",
    )
    version = published.version if published else f"{datetime.now(UTC):%Y%m%dT%H%M}"
    stem = f"{published.pipeline if published else 'medlaunch'}_{name}_{version}"
    with st.container(horizontal=True):
        _downloads("", lambda: frame, stem, name)
        if full and full_rows > len(frame):
            rows = min(full_rows, ROWS)
            _downloads(f"all {rows:,} rows", full, f"{stem}_all", f"{name}-all")


def _downloads(what: str, make: Callable[[], pd.DataFrame], stem: str, key: str) -> None:
    for kind, mime, write in (
        ("CSV", "text/csv", csv),
        ("Parquet", "application/vnd.apache.parquet", parquet),
    ):
        st.download_button(
            f"{kind}, {what}" if what else kind,
            lambda write=write: write(make()),
            f"{stem}.{kind.lower()}",
            mime,
            key=f"{key}-{kind}",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )


def csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with a byte order mark, which spreadsheets need; NULL is empty.

    Values are what the table has: docs/security.md says why texts that look like formulas are not changed.
    """
    return frame.to_csv(index=False).encode("utf-8-sig")


def parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_parquet(out, index=False)
    return out.getvalue()


def note(text: str) -> None:
    """Small grey text. Not a caption, whose contrast is below what WCAG asks for."""
    st.markdown(f":small[:gray[{text}]]")


def nothing(text: str, remedy: str) -> None:
    """An empty result: not an error, but said."""
    st.info(f"{text} {remedy}", icon=":material/search_off:")


_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


def plain(value: object) -> str:
    """A value of the data as text in Markdown, where it means nothing: names may hold any character."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


# --- page furniture


def problem(error: QueryError) -> None:
    """What is the matter, and what to do."""
    show = st.info if error.kind == "empty" else st.error
    icons = {"empty": ":material/inbox:", "slow": ":material/timer_off:", "down": ":material/cloud_off:"}
    show(f"**{error.matter}** {error.remedy}", icon=icons.get(error.kind, ":material/error:"))
    if error.detail:
        with st.expander("Detail"):
            st.code(error.detail, language=None, wrap_lines=True)


def footer() -> None:
    """What the queries of this process have cost."""
    cost, config = reader().cost, reader().config
    dollars = cost.bytes_billed / 1e12 * config.dollars_per_terabyte
    st.divider()
    note(
        f"Since the dashboard started: {cost.queries:,} queries, {cost.answers_from_cache:,} answers from memory, "
        f"{size(cost.bytes_scanned)} scanned, about US\\$ {dollars:,.4f} (at least 10 MB are billed per query)."
    )


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in its largest unit."""
    seconds = int(((now or datetime.now(UTC)).replace(tzinfo=None) - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return "just now"


def number(value: float | None, digits: int = 2) -> str:
    return "no value" if value is None or pd.isna(value) else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    return "no value" if value is None or pd.isna(value) else f"{100 * value:.{digits}f} %"


alt.data_transformers.disable_max_rows()
