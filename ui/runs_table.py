"""The table of runs, and what can be done with the chosen ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.runs import store
from ui.charts import compare_chart
from ui.live_plot import live_plot
from ui.run_panel import BADGES
from ui.session import get_engine, guarded, reader, visitor
from ui.words import plain, say_error

UNPACKING = 60.0  # s that a worker may take: the weights of a zip are tried, too
PAGES = Path(__file__).parents[1] / "pages"
MAIN = (
    "val/accuracy",
    "val/loss",
    "quality/frechet",
    "quality/wasserstein",
    "charts/greedy_return",
)  # the first of them that a run has is told


def my_runs() -> list[store.Run]:
    """The runs on this visitor's list, as they stand now."""
    return [get_engine().look(run.id) for run in store.of(visitor())]


def differing(runs: list[store.Run]) -> dict[str, dict[str, Any]]:
    """For each run, the settings in which the runs of its capability differ."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        peers = [peer.config for peer in runs if peer.capability == run.capability]
        found[run.id] = {name: value for name, value in run.config.items() if any(peer.get(name) != value for peer in peers)}
    return found


def rows(runs: list[store.Run]) -> pd.DataFrame:
    """One row a run: name, status, capability, settings that differ, final metrics, age, and the verdict on held-out data."""
    different = differing(runs)
    table = []
    for run in runs:
        latest = reader(run.id).latest()
        result = store.result(run.id) or {}
        table.append(
            {
                "name": store.name(run),
                "status": BADGES[run.status][0],
                "capability": run.capability,
                "settings that differ": ", ".join(f"{name} {value}" for name, value in different[run.id].items()) or "–",
                "measure": next((f"{name} {latest[name]:.3g}" for name in MAIN if name in latest), "–"),
                "beats the simple way": ("yes" if result["beats"] else "no") if "beats" in result else "–",
                "steps": run.step,
                "started": _ago(run.created),
                "verdict": result.get("sentence", "–"),
            }
        )
    return pd.DataFrame(table)


def _ago(when: float) -> str:
    minutes = (time.time() - when) / 60
    if minutes < 60:
        return f"{minutes:.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days ago"


def compare(runs: list[store.Run]) -> None:
    """One metric of several runs on one chart, and their final numbers side by side."""
    metrics = sorted(set.intersection(*(set(reader(run.id).read()) for run in runs)))
    if not metrics:
        st.caption("These runs have no metric in common yet.")
        return
    first = next((name for name in MAIN if name in metrics), metrics[0])
    metric = st.selectbox("Metric", metrics, index=metrics.index(first), key="runs_metric")
    names = _distinct([store.name(run) for run in runs])
    curves = {name: reader(run.id).read()[metric] for name, run in zip(names, runs, strict=True)}
    live_plot(compare_chart(curves, title=metric, revision=metric), key="runs_compare")
    finals = pd.DataFrame({name: reader(run.id).latest() for name, run in zip(names, runs, strict=True)})
    st.dataframe(finals, alt="Final metrics of the chosen runs")
    for name, run in zip(names, runs, strict=True):
        result = store.result(run.id)
        if result:
            st.markdown(f"**{plain(name)}**: {result['sentence']}")


def _distinct(names: list[str]) -> list[str]:
    return [name if names.count(name) == 1 else f"{name} ({names[: n + 1].count(name)})" for n, name in enumerate(names)]


def actions(run: store.Run) -> None:
    """Open, rename, delete one run."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.page_link(
            PAGES / f"{run.capability}.py", label="Open", icon=":material/open_in_new:", query_params={f"{run.capability}_run": run.id}
        )
        if run.owner == store.owner_of(visitor()):
            st.text_input(
                "Name",
                value=store.name(run),
                max_chars=80,
                key=f"rename_{run.id}",
                on_change=guarded(lambda: store.rename(run.id, st.session_state[f"rename_{run.id}"])),
            )


@guarded
def delete(runs: list[store.Run]) -> None:
    """Delete own runs, once they have been stopped; take those of others off the list."""
    for run in runs:
        if run.owner == store.owner_of(visitor()):
            store.delete(run.id)
        store.forget(visitor(), run.id)


def bring_back() -> None:
    """Import a zip that was downloaded before; it is unpacked and checked in a worker."""
    turn = st.session_state.setdefault("runs_turn", 0)
    file = st.file_uploader(
        "A zip of a run", type=["zip"], key=f"runs_zip_{turn}", help="One that 'Pack weights, data and script' made, here or elsewhere."
    )
    if file is None:
        return
    try:
        with st.spinner("Checking the zip …"):
            run_id = get_engine().call("core.runs.archive", "unpack", seconds=UNPACKING, content=file.getvalue())
    except UserError as error:
        say_error(error)
        return
    store.change(run_id, owner=store.owner_of(visitor()))
    store.remember(visitor(), run_id)
    st.session_state["runs_turn"] = turn + 1
    st.toast("The run is back.", icon=":material/check:")
    st.rerun()
