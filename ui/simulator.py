"""What kernel, stride, padding and dilation do: a small convolution with all its numbers."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.charts import RIVAL


def simulator() -> None:
    """What kernel, stride, padding and dilation do to the size of a map, and which numbers one place takes."""
    with st.grid(5, min_column_width=130):
        size = int(st.slider("Input", 4, 16, 8, key="window_input"))
        kernel = int(st.slider("Kernel", 1, 7, 3, key="window_kernel"))
        stride = int(st.slider("Stride", 1, 4, 1, key="window_stride", help="How far the window moves."))
        padding = int(st.slider("Padding", 0, 3, 1, key="window_padding", help="Zeros around the input."))
        dilation = int(st.slider("Dilation", 1, 3, 1, key="window_dilation", help="Gaps between the numbers that the window takes."))
    span = dilation * (kernel - 1) + 1
    out = (size + 2 * padding - span) // stride + 1
    st.latex(
        rf"\left\lfloor\frac{{{size} + 2\cdot{padding} - {dilation}\cdot({kernel}-1) - 1}}{{{stride}}}\right\rfloor + 1 = "
        + (str(out) if size + 2 * padding >= span else r"\text{none: the window is larger than the input}")
    )
    if size + 2 * padding < span:
        return
    with st.grid(5, min_column_width=130):
        row, column = (
            int(st.slider(f"{name} of the output", 0, out - 1, 0, key=f"window_{name}")) if out > 1 else 0 for name in ("Row", "Column")
        )
    random = np.random.default_rng(0)
    numbers, weights = random.integers(0, 10, (size, size)), random.integers(-1, 2, (kernel, kernel))
    around = np.pad(numbers, padding)
    taken = [at * stride + dilation * np.arange(kernel) for at in (row, column)]
    made = np.array([[product(around, weights, y * stride, x * stride, dilation) for x in range(out)] for y in range(out)])
    marked = np.zeros(around.shape, bool)
    marked[np.ix_(*taken)] = True
    pale = np.ones(around.shape, bool)
    pale[padding : padding + size, padding : padding + size] = False
    here = np.zeros(made.shape, bool)
    here[row, column] = True
    with st.container(horizontal=True, gap="large"):
        for words, grid, strong, weak in (
            ("The input: orange is what one place takes, pale are the zeros around it.", around, marked, pale),
            ("The kernel.", weights, np.zeros(weights.shape, bool), None),
            (f"The output: that place is {made[row, column]}, the sum of the products.", made, here, None),
        ):
            with st.container(width=max(200, 22 * len(grid) + 10)):
                st.html(number_table(grid, strong, weak))
                st.caption(words)


def product(numbers: np.ndarray, weights: np.ndarray, top: int, left: int, dilation: int) -> int:
    """The sum of products of a kernel at one place."""
    rows, columns = (start + dilation * np.arange(len(weights)) for start in (top, left))
    return int((numbers[np.ix_(rows, columns)] * weights).sum())


def number_table(grid: np.ndarray, strong: np.ndarray, weak: np.ndarray | None = None) -> str:
    """Whole numbers as an HTML table, some marked, some pale."""
    lines = []
    for y, row in enumerate(grid):
        cells = []
        for x, value in enumerate(row):
            style = f"background:{RIVAL};color:#16202c" if strong[y, x] else "opacity:.45" if weak is not None and weak[y, x] else ""
            cells.append(f'<td style="border:1px solid rgba(138,148,166,.5);min-width:20px;text-align:center;{style}">{int(value)}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:11px">{"".join(lines)}</table></div>'
