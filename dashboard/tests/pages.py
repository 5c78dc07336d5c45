"""What the tests of pages share."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from streamlit.testing.v1 import AppTest

from dashboard import app

Open = Callable[..., AppTest]
PAGES = [
    file.removeprefix("views/").removesuffix(".py") for pages in app.PAGES.values() for file, *_ in pages
]


def metrics(page: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in page.metric}


def tables(page: AppTest) -> list[pd.DataFrame]:
    return [one.value for one in page.dataframe]


def table_with(page: AppTest, *names: str) -> pd.DataFrame:
    return next(one for one in tables(page) if set(names) <= set(one.columns))


def messages(page: AppTest) -> str:
    return "\n".join(one.value for one in [*page.error, *page.info, *page.warning])
