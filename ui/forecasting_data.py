"""The data block of the forecasting page: a built-in series, or a file of the visitor's own made into one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import columns, detection
from core.errors import UserError
from core.forecasting import tidy
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import BUILTIN, TEMPLATE, Series, builtin, step_name
from core.runs import uploads
from core.stamps import DATE_FORMATS
from ui import config_form, explain
from ui.session import get_engine, visitor
from ui.upload import uploader
from ui.words import plain, say_error

Choices = dict[str, Any]  # about one file: how it is read, its columns, the remedies
PREFIX = "forecasting"
OWN = "Your own file"
REMEDIES: dict[str, tuple[str, dict[str, str]]] = {
    "duplicates": (
        "Rows with the same time stamp",
        {"mean": "take their mean", "sum": "take their sum", "first": "keep the first", "last": "keep the last"},
    ),
    "missing": (
        "Missing values and steps",
        {"interpolate": "fill by straight lines", "previous": "repeat the value before", "drop": "drop them and count rows"},
    ),
    "irregular": ("Values that fall into one step", {"mean": "take their mean", "sum": "take their sum"}),
}


@st.cache_data(show_spinner=False)
def builtin_series(name: str) -> Series:
    """A built-in series, read once per server."""
    return builtin(name)


@st.cache_data(max_entries=32, show_spinner=False)
def _from_worker(function: str, upload_id: str, reading: str, choices: str = "") -> Any:
    arguments: dict[str, Any] = {"upload_id": upload_id, "reading": json.loads(reading)}
    if choices:
        arguments["choices"] = json.loads(choices)
    return get_engine().call("core.forecasting.tidy", function, **arguments)


def data_block() -> Series | None:
    """Let the visitor choose; returns the series, or None with a sentence on the page."""
    chosen = config_form.data_choice(
        PREFIX,
        {name: entry.title for name, entry in BUILTIN.items()},
        [OWN],
        label="Series",
        help="Five series come with Manabi and need no network. Or bring a CSV, Excel or Parquet file.",
        on_change=_suit_settings,
    )
    if chosen in BUILTIN:
        series = builtin_series(chosen)
        st.caption(BUILTIN[chosen].about)
        _say(series)
        return series
    return _own_file()


def _suit_settings() -> None:
    """Another series brings the settings that suit it, unless the visitor has changed some: those stay."""
    before = ForecastingConfig.from_preset(st.session_state.get(f"{PREFIX}_suited", ""))
    fields = {name: st.session_state.get(config_form.key_of(PREFIX, name)) for name in ForecastingConfig.model_fields}
    if all(value in (None, getattr(before, name)) for name, value in fields.items()):
        chosen = st.session_state.get(f"{PREFIX}_data")
        _suit(BUILTIN[chosen].preset if chosen in BUILTIN else "")


def _suit(preset: str) -> None:
    st.session_state[f"{PREFIX}_suited"] = preset
    config_form.apply(ForecastingConfig, PREFIX, ForecastingConfig.from_preset(preset))


def _own_file() -> Series | None:
    brought = uploader(
        PREFIX,
        label="A table with one column of dates and at least one of numbers",
        kinds=["csv", "tsv", "txt", "xlsx", "parquet"],
        help="Up to 50 MB and 1,000,000 rows. Encoding, delimiter, signs in numbers and date format are detected and shown.",
    )
    if brought is None:
        st.download_button(
            "Template file",
            TEMPLATE.read_bytes(),
            "template.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="Monthly airline passengers: put your own dates and numbers in their place.",
        )
        return None
    upload_id = brought[0]
    before = _chosen_before(upload_id)
    reading = _reading_choices(upload_id, before)
    choices: Choices = {}
    told: list[str] = []
    try:
        with st.spinner("Reading the file …", show_time=True):
            profile = _from_worker("profile", upload_id, json.dumps(reading))
        _facts(profile)
        if len(profile["sheets"]) > 1:
            _select("sheet", "Sheet", ["auto", *profile["sheets"]], upload_id, before)
        choices, told = _column_choices(profile, upload_id, json.dumps(reading), before)
        with st.spinner("Making a regular series …"):
            series: Series = _from_worker("series", upload_id, json.dumps(reading), json.dumps(choices))
    except UserError as error:
        say_error(error)
        return None
    finally:
        _keep(upload_id, before, before | reading | choices)
    _say(series, told)
    return series


def _chosen_before(upload_id: str) -> Choices:
    """What this visitor chose for the file, before F5 or on another day."""
    words = uploads.notes(upload_id, visitor())
    found: Choices = json.loads(words) if words else {}
    return found


def _keep(upload_id: str, before: Choices, choices: Choices) -> None:
    if choices != before:
        try:
            uploads.annotate(upload_id, visitor(), json.dumps(choices))
        except UserError as error:
            say_error(error)


def _select(name: str, label: str, options: list[str], upload_id: str, before: Choices, **more: Any) -> str:
    """A choice about one file: as it was left, or the first of the options."""
    at = options.index(before[name]) if before.get(name) in options else 0
    return str(st.selectbox(label, options, at, key=_key(name, upload_id), **more))


def _key(name: str, upload_id: str) -> str:
    return f"{PREFIX}_{name}_{upload_id[:8]}"


def _reading_choices(upload_id: str, before: Choices) -> Choices:
    """What is detected can be overridden."""
    with st.expander("How the file is read", icon=":material/settings:"), st.grid(3, min_column_width=170):
        marks, signs = detection.DELIMITERS, columns.THOUSANDS
        return {
            "encoding": _select("encoding", "Encoding", ["auto", *detection.ENCODINGS], upload_id, before),
            "delimiter": _select("delimiter", "Delimiter", ["auto", *marks], upload_id, before, format_func=lambda d: marks.get(d, d)),
            "decimal": _select("decimal", "Decimal sign", ["auto", ".", ","], upload_id, before, format_func=lambda d: signs.get(d, d)),
            "thousands": _select("thousands", "Thousands", ["auto", *signs], upload_id, before, format_func=lambda d: signs.get(d, d)),
            "dates": _select("dates", "Date format", ["auto", *DATE_FORMATS], upload_id, before),
            "sheet": str(
                st.session_state.get(_key("sheet", upload_id)) or before.get("sheet", "auto")
            ),  # chosen below, once they are known
        }


def _facts(profile: dict[str, Any]) -> None:
    facts = " · ".join(f"{name}: **{plain(value)}**" for name, value in profile["facts"].items())
    st.caption(f"{facts} · {tidy.count(profile['rows'], 'row')}, {tidy.count(len(profile['columns']), 'column')}")
    with st.expander("The first rows, as they were read", icon=":material/table:"):
        st.dataframe(explain.harmless(profile["head"]), hide_index=True, alt="The first rows of the uploaded table")


def _column_choices(profile: dict[str, Any], upload_id: str, reading: str, before: Choices) -> tuple[Choices, list[str]]:
    """Time, targets, covariates and, where something is wrong, the remedies; and what was said to be wrong."""
    with st.grid(3, min_column_width=230):
        others = [name for name in profile["columns"] if name not in profile["times"]]
        times = [*(profile["times"] or ["auto"]), tidy.ROWS, *others]
        help = "The column of dates, also one that was taken for numbers or text; row numbers if the rows are evenly spaced."
        time = _select("time", "Time", times, upload_id, before, help=help)
        rest = [name for name in profile["columns"] if name != time]
        numbers = [name for name in profile["numbers"] if name in rest]
        targets = st.multiselect(
            "To forecast",
            rest,
            default=[name for name in before.get("targets", []) if name in rest] or numbers[:1],
            max_selections=tidy.MAX_TARGETS,
            key=f"{PREFIX}_targets_{upload_id[:8]}",
            help="One or several columns of numbers, forecast together.",
        )
        others = [name for name in numbers if name not in targets]
        covariates = st.multiselect(
            "Known in advance",
            others,
            default=[name for name in before.get("covariates", []) if name in others],
            max_selections=tidy.MAX_COVARIATES,
            key=f"{PREFIX}_covariates_{upload_id[:8]}",
            help="Columns whose future values are known: prices, holidays, plans. Rows after the end may hold them.",
        )
    choices: Choices = {"time": time, "targets": targets, "covariates": covariates}
    found: tidy.Findings = _from_worker("findings", upload_id, reading, json.dumps(choices))
    told = [problem for _, problem in found.problems]
    if told:
        bullet = "- " if len(told) > 1 else ""
        st.warning("\n".join(bullet + plain(problem) for problem in told), icon=":material/report:")
    kinds = {kind for kind, _ in found.problems}
    if kinds & set(REMEDIES):
        with st.grid(3, min_column_width=230):
            for kind in (kind for kind in REMEDIES if kind in kinds):
                label, options = REMEDIES[kind]
                field = "aggregate" if kind == "irregular" else kind
                choices[field] = _select(field, label, list(options), upload_id, before, format_func=options.__getitem__)
            if "irregular" in kinds:
                steps = list(dict.fromkeys([found.step, "s", "min", "15min", "h", "D", "W-SUN", "MS", "QS", "YS"]))
                choices["step"] = _select("step", "Time step", steps, upload_id, before, format_func=step_name)
    return choices, told


def _say(series: Series, told: Sequence[str] = ()) -> None:
    """What the series is now, and what was changed on the way, unless it was told."""
    index = series.times()
    span = f"{index[0]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}" if isinstance(index, pd.DatetimeIndex) else f"{len(index):,} rows"
    season = f", season of {series.season}" if series.season > 1 else ""
    st.caption(f"**{series.length:,} steps** of one {step_name(series.step)}, {span}{season}.")
    for note in (note for note in series.notes if note not in told):
        st.caption(f":material/build: {plain(note)}")
