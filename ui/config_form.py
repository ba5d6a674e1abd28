"""Config model -> widgets -> Config. Defaults, bounds, choices and help are read from the fields, written nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from core.config import Config, applies, bounds, choices, mark, read_config
from core.errors import UserError
from ui.words import say_error

MOST_SLIDER_STEPS = 400  # a wider range is typed


def key_of(prefix: str, name: str) -> str:
    """A field's widget key, which is its name in the link."""
    return f"{prefix}_{name}"


def apply(kind: type[Config], prefix: str, config: Config) -> None:
    """Set every widget of a page to a config: presets, reset, and "use these settings". For callbacks."""
    for name in kind.model_fields:
        st.session_state[key_of(prefix, name)] = getattr(config, name)


def apply_to_link(kind: type[Config], prefix: str, config: Config) -> None:
    """`apply` before the form is drawn for the first time: widgets write nothing into the link then, so it is written here."""
    apply(kind, prefix, config)
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in config.differing().items()}
    st.query_params.update({key_of(prefix, name): text for name, text in texts.items()})


def link_names_data_alone(kind: type[Config], prefix: str) -> bool:
    """Whether a link that is just opened names the data and none of the settings. To be asked before `data_choice`."""
    settings = {key_of(prefix, name) for name in kind.model_fields}
    opening = f"{prefix}_data" not in st.session_state and bool(st.query_params.get(f"{prefix}_data"))
    return opening and settings.isdisjoint(st.query_params)


def current(kind: type[Config], prefix: str) -> dict[str, Any]:
    """What the widgets of a page say now, as they are; defaults where they were not shown yet."""
    return {name: st.session_state.get(key_of(prefix, name), info.default) for name, info in kind.model_fields.items()}


def config_form(kind: type[Config], prefix: str, *, on_preset: Callable[[str], None] | None = None) -> Config | None:
    """The form of a capability's settings; None (and a sentence) while they contradict each other.

    on_preset: is told the name of a preset that was taken.
    Widgets are keyed `<prefix>_<field>` and bound to the link. Reset clears this page's fields only.
    """
    _check_link(kind, prefix)
    if st.session_state.get(f"{prefix}_contradicts") == "read":
        del st.session_state[f"{prefix}_contradicts"]
        _reset(kind, prefix)
        st.session_state[f"{prefix}_link_problem"] = "The settings in the link contradict each other. The defaults stand instead."
    presets = {"Defaults": {}, **kind.PRESETS}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.menu_button(
            "Preset",
            list(presets),
            key=f"{prefix}_preset",
            icon=":material/tune:",
            help="Fill in settings that go well together.",
            on_click=lambda: _take_preset(kind, prefix, on_preset),
        )
        st.button(
            "Reset",
            key=f"{prefix}_reset",
            icon=":material/restart_alt:",
            help="Back to the defaults, on this page only.",
            on_click=lambda: _reset(kind, prefix),
        )
    if problem := st.session_state.get(f"{prefix}_link_problem"):
        st.warning(problem, icon=":material/link_off:")
    values: dict[str, Any] = {}
    groups: dict[str, list[str]] = {}
    for name, info in kind.model_fields.items():
        if not mark(info, "hidden"):
            groups.setdefault("Advanced settings" if mark(info, "advanced") else str(mark(info, "group")), []).append(name)
    folded_names = groups.pop("Advanced settings", [])

    def widgets(names: list[str]) -> None:
        for name in names:
            info = kind.model_fields[name]
            values[name] = _widget(name, info, key_of(prefix, name)) if applies(info, values) else info.default

    with st.grid(3, min_column_width=230):
        for names in groups.values():
            widgets(names)
    if any(applies(kind.model_fields[name], values) for name in folded_names):
        fold = st.expander("Advanced settings", icon=":material/settings:", key=f"{prefix}_advanced", on_change="rerun")
        if fold.open or any(_is_set(kind, prefix, name) for name in folded_names):
            with fold, st.grid(3, min_column_width=230):
                widgets(folded_names)
        else:  # nothing to see and nothing for the link to hold: every widget costs each rerun some milliseconds
            values |= {name: kind.model_fields[name].default for name in folded_names}
    if st.session_state.get(f"{prefix}_contradicts"):
        st.session_state[f"{prefix}_contradicts"] = "read"  # in their first run, widgets obey the link alone
        st.rerun()
    try:
        return read_config(kind, values)
    except UserError as error:
        say_error(error)
        return None


def data_choice(
    prefix: str, builtin: Mapping[str, str], others: list[str], *, label: str, help: str, on_change: Callable[[], None], default: str = ""
) -> str:
    """The choice at the top of a page: one of the built-in datasets (id -> title), or one of the other ways. In the link as a title."""
    return linked_choice(
        label,
        {name: builtin.get(name, name) for name in [*builtin, *others]},
        key=f"{prefix}_data",
        unknown="The link names data that this page does not have. Its default stands instead.",
        default=default,
        help=help,
        on_change=on_change,
    )


def linked_choice(
    label: str,
    options: Mapping[str, str],
    *,
    key: str,
    unknown: str,
    default: str = "",
    help: str | None = None,
    on_change: Callable[[], None] = lambda: None,
) -> str:
    """One of some options (value -> what is shown, and what the link says); by default the first.

    unknown: what is said, until the visitor chooses, where the link names none of them.
    """
    asked, problem = st.query_params.get(key), f"{key}_problem"
    if key not in st.session_state and asked:
        st.session_state[problem] = "" if asked in options.values() else unknown

    def changed() -> None:
        st.session_state.pop(problem, None)
        on_change()

    default = default or next(iter(options))
    chosen = st.segmented_control(
        label,
        list(options),
        format_func=lambda name: options[name],
        default=default,
        required=True,
        wrap=True,
        key=key,
        bind="query-params",
        help=help,
        on_change=changed,
        label_visibility="collapsed",
    )
    if said := st.session_state.get(problem):
        st.warning(said, icon=":material/link_off:")
    return str(chosen or default)  # a link may name nothing


def _widget(name: str, info: FieldInfo, key: str) -> Any:
    label, text = info.title or name, info.description
    low, high = bounds(info)
    step = mark(info, "step")
    options = choices(info)
    common: dict[str, Any] = {"key": key, "help": text, "bind": "query-params"}
    if options and len(options) <= 3:
        chosen = st.segmented_control(label, options, default=info.default, required=True, wrap=True, **common)
        return info.default if chosen is None else chosen  # a link may name nothing
    if options:
        return st.selectbox(label, options, index=options.index(info.default), **common)
    common["value"] = info.default
    if info.annotation is bool:
        return st.toggle(label, **common)
    number: type[int] | type[float] = int if info.annotation is int else float
    assert low is not None and high is not None, f"{name} needs bounds"
    width = (high - low) / (step or (1 if number is int else 0.01))
    if width <= MOST_SLIDER_STEPS:
        return st.slider(label, number(low), number(high), step=number(step or (1 if number is int else 0.01)), **common)
    return st.number_input(label, number(low), number(high), step=number(step or 1), format=None if number is int else "%g", **common)


def _is_set(kind: type[Config], prefix: str, name: str) -> bool:
    """Whether the link or the visitor has set a field to something of their own."""
    key, default = key_of(prefix, name), kind.model_fields[name].default
    return key in st.query_params or st.session_state.get(key, default) != default


def _reset(kind: type[Config], prefix: str) -> None:
    apply(kind, prefix, kind())
    st.session_state.pop(f"{prefix}_link_problem", None)


def _take_preset(kind: type[Config], prefix: str, on_preset: Callable[[str], None] | None) -> None:
    chosen = st.session_state.get(f"{prefix}_preset")
    if chosen:
        apply(kind, prefix, kind.from_preset(str(chosen)))
        if on_preset:
            on_preset(str(chosen))


def _check_link(kind: type[Config], prefix: str) -> None:
    """Say which settings of a link can't be used; Streamlit drops them without a word."""
    if st.session_state.get(f"{prefix}_link_read"):
        return
    st.session_state[f"{prefix}_link_read"] = True
    bad, good = [], {}
    for key, text in st.query_params.items():
        name = key.removeprefix(f"{prefix}_")
        if name == key or name not in kind.model_fields:
            continue
        value: Any = {"true": True, "false": False}.get(text.lower(), text)
        try:
            if kind.model_fields[name].annotation is bool and not isinstance(value, bool):
                raise ValueError  # pydantic takes "no" and "off", too; the toggle doesn't
            kind.__pydantic_validator__.validate_assignment(kind.model_construct(), name, value, strict=False)
            good[name] = value
        except ValueError:
            bad.append(kind.model_fields[name].title or name)
    try:
        kind.model_validate(good, strict=False)
    except ValueError:
        st.session_state[f"{prefix}_contradicts"] = True
    if bad:
        st.session_state[f"{prefix}_link_problem"] = (
            f"The link holds a value that can't be used for: {', '.join(bad)}. The default stands instead."
        )
