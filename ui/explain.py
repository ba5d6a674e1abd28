"""Teaching blocks that every page shares: the code that ran, what each metric and setting means, export, permalink."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core import source
from core.config import Config, table
from core.runs import store
from ui.session import call, run_stamp

_FORMULA = re.compile(r"^[=+\-@]")


def show_code(module: str, name: str, *, label: str = "") -> None:
    """The source of a class or function, cut from the file that ran."""
    with st.expander(label or f"The code that ran: {name}", icon=":material/code:"):
        st.caption(f"`{module.replace('.', '/')}.py`")
        st.code(source.cut(module, name), language="python")


def readme(capability: str) -> None:
    """A capability's README, as the code host shows it, without its title."""
    text = (source.path_of(f"core.{capability}.config").parent / "README.md").read_text(encoding="utf-8")
    st.markdown(re.sub(r"\A# .*\n", "", text))


def settings_table(kind: type[Config]) -> None:
    """Every setting: default, range, meaning, and its name in links and on the command line."""
    with st.expander("All settings", icon=":material/list:"):
        st.dataframe(pd.DataFrame(table(kind)), hide_index=True, alt="Every setting with its default, range and meaning")


def safe_csv(frame: pd.DataFrame, *, index: bool = False) -> bytes:
    """A CSV for spreadsheets: UTF-8 with a mark, and no cell that a spreadsheet would run as a formula (see `harmless`)."""
    return harmless(frame.reset_index() if index else frame).to_csv(index=False).encode("utf-8-sig")


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with no cell that a spreadsheet would run as a formula, for files and for tables whose toolbar has a download.

    Text that begins with = + - @ gets an apostrophe in front (OWASP, CSV injection); numbers stay as they are.
    """
    frame = frame.copy()
    frame.columns = [_harmless(str(name)) for name in frame.columns]
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = frame[name].map(lambda cell: _harmless(cell) if isinstance(cell, str) else cell)
    return frame


def _harmless(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()  # a bare carriage return would begin a row
    return f"'{text}" if _FORMULA.match(text) else text


def download_run(run: store.Run, *, key: str) -> None:
    """A run as a zip, packed in a worker when asked for: settings, metrics, samples, weights and a standalone script."""
    ready = f"{key}_zip"
    if st.session_state.get(ready) == run_stamp(run):
        content = call("core.runs.archive", "pack", run_id=run.id)
        if content:
            st.download_button(
                "Save the zip",
                content,
                f"manabi-{run.capability}-{run.id[:8]}.zip",
                "application/zip",
                icon=":material/download:",
                key=f"{key}_save",
                type="primary",
            )
        return
    if st.button(
        "Pack weights, data and script",
        key=f"{key}_pack",
        icon=":material/inventory_2:",
        help="A zip with the settings, metrics, weights, data and a PyTorch script that reproduces the test metrics.",
    ):
        st.session_state[ready] = run_stamp(run)
        st.rerun()


def curves(metrics: Mapping[str, str]) -> None:
    """What each metric of a run means, folded away."""
    with st.expander("What the curves mean", icon=":material/help:"):
        for name, text in metrics.items():
            st.markdown(f"- `{name}`: {text}")


def share(run: store.Run) -> None:
    """Everything of a run to take away, and the link to it."""
    download_run(run, key=f"export_{run.id[-12:]}")
    permalink(run.capability, {f"{run.capability}_run": run.id})


def permalink(path: str, parameters: Mapping[str, Any]) -> None:
    """The link to what is on the screen, to copy."""
    query = "&".join(f"{name}={value}" for name, value in parameters.items() if value not in ("", None))
    base = (st.context.url or "").split("?")[0].rstrip("/") or f"/{path}"
    st.caption("Link to this run, with its settings, data and seed. Who has the link sees the run.")
    st.code(f"{base}?{query}", language=None)
