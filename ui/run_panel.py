"""The live panel of a run: status, progress, time left, place in the queue, and the controls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.config import Config, applies, bounds, choices, mark
from core.errors import UserError
from core.runs import control, store
from core.runs.metrics import Curve
from ui.config_form import apply
from ui.session import get_engine, guarded, link, look, reader, show_message, visitor
from ui.words import plain, say_error

BADGES: dict[str, tuple[str, Any, str]] = {
    "queued": ("Waiting", "gray", ":material/hourglass_top:"),
    "running": ("Training", "blue", ":material/play_arrow:"),
    "paused": ("Paused", "orange", ":material/pause:"),
    "finished": ("Finished", "green", ":material/check:"),
    "stopped": ("Stopped", "gray", ":material/stop:"),
    "failed": ("Failed", "red", ":material/error:"),
    "interrupted": ("Interrupted", "orange", ":material/power_off:"),
}
PACE = 12.0  # s from which the time left is told, longer if a step takes longer
SLOW = 5.0  # steps a second of slow motion, to begin with
STUCK_AFTER = 5.0  # s without an answer to Stop, after which "End it" is offered

Draw = Callable[[store.Run, dict[str, Curve]], None]
Wish = Callable[[store.Run], dict[str, Any]]


def badge(run: store.Run) -> None:
    """A run's status as a coloured word with an icon."""
    text, color, icon = BADGES[run.status]
    st.badge(text, color=color, icon=icon)


def begin(capability: str, configs: list[Any], data: Any, *, named: str = "", speed: float = 0.0, beside: list[str] | None = None) -> None:
    """Queue a run for each config and open the first. Raises `UserError` if it can't be.

    named: what the data is called, by default its own name; speed: steps a second to begin with, 0 for full speed; beside: runs of
    which the new ones are mates.
    """
    runs = get_engine().start(capability, configs, data, visitor=visitor(), data=named or data.name, beside=beside or [])
    for run in runs:
        if speed:
            get_engine().ask(run.id, speed=speed)
    link(f"{capability}_run", runs[0].id)


def begin_now(capability: str, configs: list[Any], data: Any, *, speed: float = 0.0, beside: list[str] | None = None) -> None:
    """`begin` for a button outside a callback: what can't be is said, else the page runs again."""
    try:
        begin(capability, configs, data, speed=speed, beside=beside)
    except UserError as error:
        say_error(error)
        return
    st.rerun()


def run_head(
    family: list[store.Run],
    kind: type[Config],
    prefix: str,
    *,
    mate_name: Callable[[store.Run], str] = store.name,
    again: Callable[..., None] | None = None,
) -> None:
    """The name of a run, its mates to open, and what can be made of its settings.

    again: starts the same run once more, beside the first; given its id.
    """
    shown = family[0]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(store.name(shown))}**")
        for mate in family[1:]:
            st.button(
                plain(mate_name(mate)),
                key=f"open_{mate.id}",
                icon=":material/swap_horiz:",
                help="Open the run beside it.",
                on_click=link,
                args=(f"{prefix}_run", mate.id),
            )
        st.button(
            "Use these settings",
            key="take_settings",
            icon=":material/tune:",
            help="Fill the form with the settings of this run.",
            on_click=lambda: apply(kind, prefix, kind.model_validate(shown.config)),
        )
        if again and not store.is_example(shown.id):
            st.button(
                "Same seed again",
                key="again",
                icon=":material/replay:",
                help="From scratch, beside this run.",
                on_click=again,
                args=(shown.id,),
            )


def run_panel(family: list[store.Run], draw: Draw, *, key: str, plain_wish: Wish = lambda run: {}) -> None:
    """Show a run live: controls and `draw(run, curves)`, once a second while anything can still change.

    plain_wish: what Resume and Step ask for besides, on a page that has other ways to move a run.
    family: the run and its mates, whose curves are on the same chart. When one settles, and when the run has its first weights, the
    whole page runs once more, so that what follows from them appears.
    """
    unsettled = [run.id for run in family if not run.settled]
    empty = not store.checkpoint_step(family[0].id)
    st.fragment(_panel, run_every=1.0 if unsettled else None)(family[0].id, draw, key, unsettled, empty, plain_wish)


def _panel(run_id: str, draw: Draw, key: str, unsettled: list[str], empty: bool, plain_wish: Wish) -> None:
    run = look(run_id)
    resumed = not run.settled and run_id not in unsettled  # the timer has to start again
    if resumed or (empty and store.checkpoint_step(run_id)) or any(look(other).settled for other in unsettled):
        st.rerun()
    show_message()
    with st.container(horizontal=True, vertical_alignment="center"):
        badge(run)
        _words(run)
    if run.note:
        (st.error if run.status == "failed" or run.result == "failed" else st.info)(plain(run.note), icon=":material/info:")
    mine = run.owner == store.owner_of(visitor())
    if run.active and mine:
        _controls(run, key, plain_wish(run))
    elif run.active:
        st.caption("You are watching a run of somebody else.")
    elif not store.is_example(run.id):
        _after(run, key, mine)
        if mine and run.result == "pending":
            help = "The weights stay and can be used. The comparison with the simple ways is left out, and can't be made later."
            st.button("Skip the verdict", key=f"{key}_skip", icon=":material/fast_forward:", help=help, on_click=_kill, args=(run.id,))
    curves = reader(run.id).read()
    if run.settled and not curves:
        st.caption("It ended before its first step, so there is nothing to draw.")
    else:
        draw(run, curves)


def _words(run: store.Run) -> None:
    """Progress in words: step, time left, place in the queue."""
    step = max([run.step, *(int(steps[-1]) for steps, _ in reader(run.id).read().values() if len(steps))])
    if run.status == "queued":
        engine = get_engine()
        ahead = engine.place(run.id)
        held = f" One stands paused: it makes room after {control.patience() / 60:.2g} minutes." if engine.held_up(run) else ""
        st.caption(f"{ahead} run{'' if ahead == 1 else 's'} ahead of yours.{held}" if ahead else "Starting …")
        return
    if run.total:
        st.caption(f"Step {step:,} of at most {run.total:,}{_time_left(run, step)}")
        if run.active:
            st.progress(min(1.0, step / run.total))
    elif run.active:
        st.caption("Starting …")
    if not run.active and run.result == "pending":
        st.caption("Scoring it against the simple ways …")


def _time_left(run: store.Run, step: int) -> str:
    seen = f"pace_{run.id}"
    if run.status != "running":
        st.session_state.pop(seen, None)
        return ""
    beats = st.session_state.setdefault(seen, [])  # of the last seconds, so that a pause or another speed is soon forgotten
    if not beats or beats[-1][1] != step:
        beats.append((time.time(), step))
    while len(beats) > 2 and beats[-1][0] - beats[0][0] > PACE:
        del beats[0]
    done, passed = step - beats[0][1], beats[-1][0] - beats[0][0]
    if passed < 2:
        return ""
    seconds = passed / done * (run.total - step)
    return f" · about {seconds:.0f} s left" if seconds < 90 else f" · about {seconds / 60:.0f} min left"


def _controls(run: store.Run, key: str, plain_wish: dict[str, Any]) -> None:
    folder = store.folder(run.id)
    wanted = control.wanted(folder)

    @guarded
    def ask(**wish: Any) -> None:
        get_engine().ask(run.id, **wish)

    paused = run.status == "paused" or wanted["state"] == "paused"
    started = run.status != "queued"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if paused:
            st.button("Resume", key=f"{key}_go", icon=":material/play_arrow:", on_click=ask, kwargs={"state": "running", **plain_wish})
        else:
            help = f"While others wait, a paused run makes room after {control.patience() / 60:.2g} minutes; Resume goes on where it stood."
            wish = {"state": "paused"}
            st.button("Pause", key=f"{key}_pause", icon=":material/pause:", help=help, on_click=ask, kwargs=wish, disabled=not started)
        st.button(
            "Step",
            key=f"{key}_step",
            icon=":material/skip_next:",
            help="One training step, then pause.",
            on_click=ask,
            kwargs={"steps": 1, **plain_wish},
            disabled=not started,
        )
        st.button("Stop", key=f"{key}_stop", icon=":material/stop:", on_click=ask, kwargs={"state": "stopped"})
        if wanted["state"] == "stopped" and time.time() - (folder / "control.json").stat().st_mtime > STUCK_AFTER:
            st.button(
                "End it", key=f"{key}_kill", type="primary", help="It does not answer: end its process.", on_click=_kill, args=(run.id,)
            )
        with st.popover("Speed and live settings", icon=":material/speed:", disabled=not started):
            _live_settings(run, key, wanted, ask, plain_wish)


def _live_settings(run: store.Run, key: str, wanted: dict[str, Any], ask: Callable[..., None], plain_wish: dict[str, Any]) -> None:
    """Slow motion, and the settings that may change while it trains."""
    speed, slow, pace = float(wanted["speed"]), f"{key}_slow", f"{key}_pace"

    def change_speed() -> None:
        if st.session_state[slow]:
            ask(speed=st.session_state[pace] if speed else SLOW)
        else:
            ask(**plain_wish | {"speed": 0.0})  # full speed is of the steps that the settings name

    for name, now in ((slow, speed > 0), (pace, max(0.1, speed))):  # it can be slowed elsewhere, too
        if st.session_state.get(name) != now:  # else a number that is being typed would be written over
            st.session_state[name] = now
    if st.toggle("Slow motion", key=slow, help="Watch it learn step by step.", on_change=change_speed):
        st.number_input("Steps a second", 0.1, 1000.0, step=1.0, format="%g", key=pace, on_change=change_speed)
    config = run.settings()
    for name, info in type(config).model_fields.items():
        if not (mark(info, "live") and applies(info, run.config)) or mark(info, "hidden"):
            continue
        key_of, value = f"{key}_live_{name}", wanted["settings"].get(name, getattr(config, name))
        facts: dict[str, Any] = {"key": key_of, "help": info.description}
        facts["on_change"] = lambda name=name, key_of=key_of: ask(settings={name: st.session_state[key_of]})
        label, options = info.title or name, choices(info)
        low, high = bounds(info)
        if options:
            st.segmented_control(label, options, default=value, required=True, **facts)
        elif info.annotation is bool:
            st.toggle(label, bool(value), **facts)
        else:
            lowest, highest = (None if end is None else float(end) for end in (low, high))
            st.number_input(label, lowest, highest, value=float(value), step=float(mark(info, "step") or 0.01), format="%g", **facts)


def _after(run: store.Run, key: str, mine: bool) -> None:
    """What can be done with a run that ended: go on, or close it."""
    with st.container(horizontal=True):
        if mine and run.settled and run.status in {"stopped", "interrupted", "failed"}:
            st.button(
                "Resume",
                key=f"{key}_resume",
                icon=":material/play_arrow:",
                help="Go on from the last checkpoint, as if it had never ended.",
                on_click=guarded(lambda: get_engine().resume(run.id, visitor())),
            )
        help = "Back to the example. The run stays on the Runs page."
        if st.button("Close", key=f"{key}_close", icon=":material/close:", help=help):
            link(f"{run.capability}_run", "")
            st.rerun()  # the whole page: this panel is a fragment of it


@guarded
def _kill(run_id: str) -> None:
    get_engine().kill(run_id)
