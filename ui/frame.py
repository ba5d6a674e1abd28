"""What surrounds every page: what this machine trains on, and what a visitor sees when there is a bug."""

from __future__ import annotations

import streamlit as st

from core import log
from core.device import card, cores
from core.errors import UserError
from core.runs.limits import demo, limits
from ui.session import engine_if_started
from ui.words import say_error


def script_error(error: Exception) -> bool:
    """What a page did not catch: a `UserError` says itself; a bug is logged and shown with an incident id."""
    if isinstance(error, UserError):
        say_error(error)
        return True
    number = log.incident("page", error)
    st.error(
        f"Something went wrong here, and it is Manabi's fault, not yours. Incident {number} was logged. "
        "Your settings and runs are kept; reloading the page may help.",
        icon=":material/bug_report:",
    )
    return True


@st.cache_data(show_spinner=False)
def _card() -> tuple[str, int] | None:
    return card()


def device_badge() -> None:
    """CPU cores, or the GPU's name and memory: as the driver tells until a worker has torch and knows better."""
    try:
        engine = engine_if_started()
        facts = engine.device_now() if engine else None
    except UserError as error:
        st.badge("No engine", icon=":material/power_off:", color="red", help=str(error))
        return
    found = _card() if facts is None else (facts["name"], facts["memory_gib"]) if facts["kind"] == "cuda" else None
    if found:
        st.badge(f"{found[0]} · {found[1]} GB", icon=":material/bolt:", color="green", help="Trainings run on this GPU.")
    else:
        count = facts["cores"] if facts else cores()
        help = "Trainings run on the CPU: no GPU was found."
        st.badge(f"{count} CPU core{'' if count == 1 else 's'}", icon=":material/memory:", color="gray", help=help)


def demo_note() -> None:
    """What a public demo allows, said before somebody runs into it."""
    if demo():
        caps = limits()
        st.caption(
            f"Public demo: at most {caps.max_steps:,} steps and {caps.max_seconds:g} s a run; runs are kept {caps.keep_days:g} days. "
            "Download what you want to keep."
        )
