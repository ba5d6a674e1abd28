"""Runs: every run of this visitor, to compare, reopen, rename, download, bring back, delete."""

import streamlit as st

from ui import explain, runs_table
from ui.session import show_message

st.title("Runs", icon=":material/experiment:")
st.markdown("The runs that you started or opened by link in this browser. Each lives in a folder of its own; its link opens it anywhere.")
show_message()


def table() -> None:
    """The list; it looks again every two seconds while something is under way."""
    current = runs_table.my_runs()
    if any(not run.settled for run in runs) and all(run.settled for run in current):
        st.rerun()
    event = st.dataframe(
        explain.harmless(runs_table.rows(current)),
        hide_index=True,
        key="runs_table",
        on_select="rerun",
        selection_mode="multi-row",
        alt="Your runs: status, capability, settings that differ, final metrics, verdict",
    )
    chosen = [current[row].id for row in event.selection.rows if row < len(current)]
    if chosen != st.session_state.get("runs_chosen", []):
        st.session_state["runs_chosen"] = chosen
        st.rerun()


runs = runs_table.my_runs()
if not runs:
    st.info("No runs yet. Train something, and it appears here.", icon=":material/lightbulb:")
    st.page_link(runs_table.PAGES / "forecasting.py", label="Open forecasting", icon=":material/show_chart:")
else:
    st.fragment(table, run_every=2.0 if any(not run.settled for run in runs) else None)()
    chosen = [run for run in runs if run.id in st.session_state.get("runs_chosen", [])]
    if not chosen:
        st.caption("Tick one run to open, rename, download or delete it; tick several to compare them.")
    if len(chosen) == 1:
        runs_table.actions(chosen[0])
        explain.download_run(chosen[0], key=f"runs_{chosen[0].id[:12]}")
    if len(chosen) > 1:
        st.header("Compare", divider="gray")
        runs_table.compare(chosen)
    if chosen:
        with st.popover(f"Delete {len(chosen)} run{'s' if len(chosen) > 1 else ''}", icon=":material/delete:"):
            st.write("This removes the weights, metrics and data of your own runs for good, and takes runs of others off this list.")
            st.button("Delete for good", type="primary", on_click=runs_table.delete, args=(chosen,))

st.header("Bring back", divider="gray")
runs_table.bring_back()
