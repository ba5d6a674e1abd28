"""The forecasting page's look inside: signal path, hidden state, gates, vanishing gradients, memory."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.runs import store
from ui import charts_forecasting
from ui.forecasting_views import series_of, target_of
from ui.live_plot import live_plot
from ui.session import cached_call, run_stamp

GATE_NAMES = {
    "i": "input gate i: what is let in",
    "f": "forget gate f: what is kept",
    "g": "candidate g: what could be added",
    "o": "output gate o: what is shown",
    "r": "reset gate r: how much of the past the candidate sees",
    "z": "update gate z: how much of the past stays",
    "n": "candidate n: what could replace it",
    "a": "activation",
}
NEXT = r"\\ &="  # the numbers stand under the symbols: beside them, a phone would cut them off


def inside(run: store.Run, mates: list[store.Run]) -> None:
    """The signal path, the hidden state and gates, vanishing gradients, and memory."""
    data, window, units = series_of(run.id), int(run.config["window"]), int(run.config["hidden_size"])
    with st.grid(3, min_column_width=220):
        origin = st.slider(
            "Window before step",
            window,
            data.length,
            data.length,
            key=f"origin_{run.id}",
            help="Which window the network reads: the forecast begins at this step of the series.",
        )
        layer = st.slider("Layer", 1, int(run.config["layers"]), 1, key=f"layer_{run.id}") - 1 if int(run.config["layers"]) > 1 else 0
        trained = (
            st.segmented_control(
                "Weights", ["after training", "before training"], default="after training", required=True, key=f"weights_{run.id}"
            )
            == "after training"
        )
    path = cached_call(
        "core.forecasting.interpret", "signal_path", stamp=run_stamp(run), run_id=run.id, origin=origin, layer=layer, trained=trained
    )
    if path is None:
        return
    times = data.times()[origin - window : origin]
    st.markdown("#### The signal path")
    with st.grid(2, min_column_width=260):
        step = st.slider("Step of the window", 1, window, window, key=f"step_{run.id}", help="The selected time step t.") - 1
        unit = st.slider("Unit", 1, units, 1, key=f"unit_{run.id}", help="One number of the hidden state.") - 1
    live_plot(charts_forecasting.unrolled_chart(path, times, step, unit), key=f"unrolled_{run.id}")
    _formula(path, step, unit)
    st.markdown("#### The hidden state")
    n = target_of(data, f"inside_target_{run.id}")
    target, past = data.targets[n], path["past"][:, n]
    live_plot(
        charts_forecasting.hidden_chart(times, past, path["h"], title=f"Hidden state h while it reads {target}"), key=f"hidden_{run.id}"
    )
    if "c" in path:
        live_plot(
            charts_forecasting.hidden_chart(times, past, path["c"], title="Cell state c: the LSTM's long memory"), key=f"cell_{run.id}"
        )
    if run.config["model"] != "rnn":
        live_plot(charts_forecasting.gates_chart(times, path["gates"], names=GATE_NAMES), key=f"gates_{run.id}")
    st.markdown("#### Why gradients vanish")
    st.write(
        "To learn from a step long ago, the error must travel back through every step between. In a plain RNN it is multiplied by the same "
        "weights each time and fades; the gates of LSTM and GRU give it a path on which it keeps its size."
    )
    found = cached_call(
        "core.forecasting.interpret",
        "vanishing",
        stamp="".join(map(run_stamp, [run, *mates])),
        run_id=run.id,
        mates=[mate.id for mate in mates],
    )
    if found:
        norms = [by_lag for cells in found.values() for by_lag in cells.values()]
        lowest = max(1e-12, min(min(by_lag) / max(by_lag[0], 1e-30) for by_lag in norms))
        for column, (when, title) in zip(st.columns(2), (("initial", "Before training"), ("trained", "After training")), strict=True):
            with column:
                live_plot(charts_forecasting.gradient_chart(found[when], title=title, lowest=lowest), key=f"gradient_{when}_{run.id}")
        if len(found["trained"]) < 3:
            st.caption("Race the three cells (above) to see all of them after training.")
    memory = cached_call("core.forecasting.interpret", "memory", stamp=run_stamp(run), run_id=run.id, origin=origin, target=n)
    if memory:
        live_plot(charts_forecasting.memory_chart(memory["change"], unit=target), key=f"memory_{run.id}")


def _formula(path: dict[str, Any], t: int, k: int) -> None:
    """The cell's equations with the numbers of the selected step and unit in them."""
    hidden = path["h"].shape[1]
    before = {name: float(path[name][t - 1][k]) if t else 0.0 for name in ("h", "c") if name in path}
    after = {name: float(path[name][t][k]) for name in ("h", "c") if name in path}
    gates = {name: float(values[t][k]) for name, values in path["gates"].items()}
    lines = []
    for index, (name, value) in enumerate(gates.items()):
        row = index * hidden + k
        from_x, from_h, bias = float(path["from_x"][t][row]), float(path["from_h"][t][row]), float(path["bias"][row])
        squash = r"\tanh" if name in {"g", "n", "a"} else r"\sigma"
        if name == "n":  # the GRU's candidate sees the past through its reset gate
            bias_h = float(path["bias_h"][row])
            symbols = r"\tanh(W x_t + b + r \cdot (U h_{t-1} + b'))"
            numbers = rf"\tanh({from_x:.2f} {bias - bias_h:+.2f} \\ &\quad + {gates['r']:.2f} \cdot ({from_h:.2f} {bias_h:+.2f}))"
        else:
            symbols, numbers = rf"{squash}(W x_t + U h_{{t-1}} + b)", rf"{squash}({from_x:.2f} {from_h:+.2f} {bias:+.2f})"
        lines.append(rf"{'h_t' if name == 'a' else name} &= {symbols} {NEXT} {numbers}{NEXT if name == 'n' else ' ='} {value:.3f}")
    if path["model"] == "lstm":
        numbers = rf"{gates['f']:.2f} \cdot ({before['c']:.3f}) + {gates['i']:.2f} \cdot ({gates['g']:.2f})"
        lines.append(rf"c_t &= f \cdot c_{{t-1}} + i \cdot g {NEXT} {numbers} {NEXT} {after['c']:.3f}")
        lines.append(rf"h_t &= o \cdot \tanh(c_t) {NEXT} {gates['o']:.2f} \cdot \tanh({after['c']:.3f}) = {after['h']:.3f}")
    if path["model"] == "gru":
        numbers = rf"{1 - gates['z']:.2f} \cdot ({gates['n']:.2f}) + {gates['z']:.2f} \cdot ({before['h']:.3f})"
        lines.append(rf"h_t &= (1 - z) \cdot n + z \cdot h_{{t-1}} {NEXT} {numbers} {NEXT} {after['h']:.3f}")
    st.latex(r"\begin{aligned}" + r"\\[6pt]".join(lines) + r"\end{aligned}")
