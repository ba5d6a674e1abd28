"""What a page needs of this visitor and this server: the engine, the visitor's id, ids kept in the link."""

from __future__ import annotations

import functools
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import UserError
from core.runs import store
from core.runs.engine import Engine
from core.runs.metrics import MetricsReader
from ui.words import say_error

COOKIE = "manabi_visitor"
READING = 6.0  # s that a message stays
_started, _warmed = threading.Event(), threading.Event()


@st.cache_resource(validate=lambda engine: engine.alive(), on_release=lambda engine: engine.close(), show_spinner=False)
def get_engine() -> Engine:
    """The engine of this server; a dead one is replaced. Ask for it where it is used, in a fragment too."""
    engine = Engine()
    _started.set()
    _warmed.clear()  # its workers are new
    return engine


def engine_if_started() -> Engine | None:
    """The engine, or None while the first one is still starting: for what must not wait."""
    return get_engine() if _started.is_set() else None


def look(run_id: str) -> store.Run:
    """A run as it stands. The examples need no engine. Raises `UnknownRun`."""
    return store.read(run_id) if store.is_example(run_id) else get_engine().look(run_id)


def warm_up() -> None:
    """Let the workers import torch while the visitor reads; waits for nothing."""
    if not _warmed.is_set():
        _warmed.set()
        threading.Thread(target=lambda: get_engine().warm(), daemon=True).start()


def visitor() -> str:
    """A random id from the cookie that `app.py` sets; without one (cookies off, tests) one for this session."""
    cookie = st.context.cookies.get(COOKIE)
    if isinstance(cookie, str) and cookie:
        return cookie
    return str(st.session_state.setdefault("visitor", secrets.token_hex(16)))


def linked(name: str) -> str:
    """An id that lives in the session and in the link as `?name=...`; the link wins when it changes."""
    key = f"linked_{name}"
    in_link = st.query_params.get(name, "")
    if in_link:
        st.session_state[key] = in_link
    elif st.session_state.get(key):
        st.query_params[name] = st.session_state[key]
    return str(st.session_state.get(key, ""))


def link(name: str, value: str) -> None:
    """Set (or, with "", take away) an id in the session and in the link."""
    st.session_state[f"linked_{name}"] = value
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def current_run(capability: str) -> store.Run | None:
    """The run that the link or the session names. A stale or malformed id is told, taken away, and None."""
    name = f"{capability}_run"
    run_id = linked(name)
    if not run_id:
        return None
    try:
        run = look(run_id)
        if run.capability != capability:
            raise store.UnknownRun("This run belongs to another page.")
    except store.UnknownRun as error:
        link(name, "")
        st.warning(f"{error} The page shows its defaults.", icon=":material/link_off:")
        return None
    if not store.is_example(run.id):
        store.remember(visitor(), run.id)
    return run


@st.cache_resource(max_entries=200, show_spinner=False)
def reader(run_id: str) -> MetricsReader:
    """One reader of a run's metrics for all who watch it."""
    return MetricsReader(store.folder(run_id) / store.METRICS)


def call(module: str, function: str, **arguments: Any) -> Any:
    """A short call into a worker; what goes wrong is shown as a sentence and gives None."""
    try:
        return get_engine().call(module, function, **arguments)
    except UserError as error:
        say_error(error)
        return None


@st.cache_data(max_entries=64, show_spinner=False)
def _cached(module: str, function: str, stamp: str, arguments: dict[str, Any]) -> Any:
    return get_engine().call(module, function, **arguments)


def cached_call(module: str, function: str, *, stamp: str, **arguments: Any) -> Any:
    """`call`, its answer remembered for this `stamp` (a checkpoint's age, say)."""
    try:
        return _cached(module, function, stamp, arguments)
    except UserError as error:
        say_error(error)
        return None


def run_stamp(run: store.Run) -> str:
    """Changes when the weights of a run do."""
    path = store.folder(run.id) / store.CHECKPOINT
    return f"{run.id}-{path.stat().st_mtime_ns if path.exists() else 0}"


def guarded(action: Callable[..., Any]) -> Callable[..., None]:
    """A button's callback whose `UserError` becomes a message on the page instead of an incident."""

    @functools.wraps(action)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            action(*args, **kwargs)
        except UserError as error:
            tell(str(error))

    return run


def tell(message: str) -> None:
    """Something for `show_message` to say when the page has run again."""
    st.session_state["message"] = (message, time.monotonic())


def show_message() -> None:
    """What the last callback had to say, for as long as it takes to read it: a live panel runs again each second."""
    message, since = st.session_state.get("message", ("", 0.0))
    if message and time.monotonic() - since < READING:
        say_error(message)
    elif message:
        del st.session_state["message"]
