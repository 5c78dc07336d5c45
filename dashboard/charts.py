"""Charts. Colours are those of the theme; Streamlit adapts text and lines to light and dark."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboard import places

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C"
_SEQUENCE = ["#d6e6f2", "#9dc6e0", "#5c9fcd", "#2a7ab4", "#00497a"]


def states_map(
    frame: pd.DataFrame, value: str, title: str, tooltips: list[alt.Tooltip], format: str
) -> dict[str, Any]:
    """The states, coloured by a column; ``frame`` has ``state_code``. States without a value are grey.

    As a Vega-Lite specification, into which the outlines are put at the end: Altair goes through each of their numbers,
    several times, which takes longer than all else on a page.
    """
    shapes = alt.Data(values=[])
    fields = [one for one in frame.columns if one != "state_code"]
    base = alt.Chart(shapes).mark_geoshape(stroke="#ffffff", strokeWidth=0.7)
    empty = (
        base.mark_geoshape(fill="#c9ced4", stroke="#ffffff", strokeWidth=0.7)
        .encode(
            tooltip=[alt.Tooltip("properties.name:N", title="State"), alt.Tooltip("none:N", title="No value")]
        )
        .transform_calculate(none="'no facility'")
    )
    filled = (
        base.transform_lookup(lookup="id", from_=alt.LookupData(frame, "state_code", fields))
        .transform_filter(f"isValid(datum['{value}'])")
        .encode(
            color=alt.Color(
                f"{value}:Q",
                title=title,
                scale=alt.Scale(range=_SEQUENCE, type="quantize", nice=True),
                legend=alt.Legend(orient="bottom", format=format, gradientLength=200),
            ),
            tooltip=[alt.Tooltip("properties.name:N", title="State"), *tooltips],
        )
    )
    figure = (empty + filled).project(type="identity", reflectY=False).properties(height=380)
    specification: dict[str, Any] = figure.to_dict()
    specification["data"]["values"] = places.outlines()["features"]
    return specification


def ranking(
    frame: pd.DataFrame,
    value: str,
    name: str,
    title: str,
    format: str,
    *,
    reference: float | None = None,
    reference_title: str = "",
    tooltips: list[Any] | None = None,
    descending: bool = True,
) -> Any:
    """Horizontal bars, the greatest at the top, with a line for what they are compared with."""
    bars = (
        alt.Chart(frame)
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X(
                f"{value}:Q",
                title=title,
                axis=alt.Axis(
                    format=format, orient="top", tickMinStep=0 if "%" in format or "." in format else 1
                ),
            ),
            y=alt.Y(
                f"{name}:N",
                title=None,
                axis=alt.Axis(labelLimit=280),
                sort=alt.EncodingSortField(value, order="descending" if descending else "ascending"),
            ),
            tooltip=tooltips or [name, alt.Tooltip(f"{value}:Q", format=format, title=title)],
        )
    )
    figure: Any = bars
    if reference is not None:
        line = pd.DataFrame({"reference": [reference], "what": [reference_title]})
        figure = bars + alt.Chart(line).mark_rule(color=RED, strokeWidth=2, strokeDash=[6, 3]).encode(
            x="reference:Q",
            tooltip=[alt.Tooltip("what:N", title="Line"), alt.Tooltip("reference:Q", format=format)],
        )
    return figure.properties(height=24 * len(frame) + 60)
