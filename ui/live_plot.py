"""Plotly figures that change in place: no flicker, and the visitor's zoom, hover and legend clicks stay.

`st.plotly_chart` builds a new plot at each update. This component keeps one and hands it each new figure
through `Plotly.react`. Several figures play one after the other, as a film that ends with the last. It draws in
Streamlit's theme; whatever the figure itself says comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import plotly
import streamlit as st
from streamlit.components import v1 as components_v1

# Plotly.js comes from Streamlit's own bundle: st.plotly_chart shares it and browsers cache it for a year. A
# Streamlit that no longer has it gets the copy in the plotly package, served by the public v1 component route.
BUNDLE = next(Path(st.__file__).parent.glob("static/static/js/PlotlyChart.*.js"), Path("missing.js")).name
_PACKAGE = components_v1.declare_component("plotlyjs", path=Path(plotly.__file__).with_name("package_data"))

_JS = """
const BEAT = 700, REST = 3000, TIMES = 3;                // ms a figure of a film stays, and its last one; how often it plays
const plots = new WeakMap();                             // the element that Streamlit gives us -> our plot in it
let plotly;                                              // the promise of Plotly.js, one for all plots

function load() {
  const root = new URL('../../', document.querySelector('script[src*="static/js/index."]').src);
  const get = path => window.Plotly || import(new URL(path, root));
  return Promise.resolve(get('static/js/BUNDLE')).catch(() => {}).then(() => get('component/PACKAGE/plotly.min.js'));
}

const words = html => new DOMParser().parseFromString(html, 'text/html').documentElement.textContent;

function template(element) {                             // Streamlit's theme as a Plotly template
  const css = getComputedStyle(element), value = name => css.getPropertyValue('--st-' + name).trim();
  const colors = name => value('chart-' + name + '-colors').split(',');
  const scale = name => colors(name).map((color, i, all) => [i / (all.length - 1), color]);
  const paper = value('background-color'), text = value('text-color'), line = value('border-color');
  const axis = { gridcolor: value('border-color-light'), zerolinecolor: line, automargin: true };
  return {
    layout: {
      font: { family: value('font'), color: text }, title: { x: 0, font: { size: 16, weight: 600 } },
      paper_bgcolor: paper, plot_bgcolor: paper, xaxis: { ...axis, showgrid: false, zeroline: false }, yaxis: axis,
      margin: { l: 40, r: 10, t: 40, b: 30 }, hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: text } },
      colorway: colors('categorical'), colorscale: { sequential: scale('sequential'), diverging: scale('diverging') },
    },
    data: { heatmap: [{ colorscale: scale('sequential') }] },
  };
}

export default function ({ parentElement, data }) {      // called at mount, for new data and for a new theme
  let plot = plots.get(parentElement);
  if (!plot) {
    const div = parentElement.appendChild(document.createElement('div'));
    div.style.height = '100%';
    const size = new ResizeObserver(() => div._fullLayout && div.offsetWidth && Plotly.Plots.resize(div));
    size.observe(div);
    plots.set(parentElement, plot = { div, size, updates: 0, beat: 0 });
  }
  const draw = () => {
    clearTimeout(plot.later);
    if (!parentElement.isConnected) return;
    if (plot.div._dragging) return plot.later = setTimeout(draw, 100);    // never under the visitor's hand
    const figures = JSON.parse(new TextDecoder().decode(data)), last = figures.length - 1;  // afresh: Plotly writes into what it gets
    const film = last > 0 && plot.beat < TIMES * figures.length && !matchMedia('(prefers-reduced-motion: reduce)').matches;
    const at = film ? plot.beat++ % figures.length : last, figure = figures[at];
    Plotly.react(plot.div, figure.data, { uirevision: true, ...figure.layout, template: template(parentElement), autosize: true },
      { displaylogo: false });
    Object.assign(plot.div, { role: 'figure', ariaLabel: words(figure.layout.title?.text ?? '') });
    plot.div.dataset.updates = ++plot.updates;           // for tests
    if (film) plot.later = setTimeout(draw, at === last ? REST : BEAT);
  };
  (plotly ??= load()).then(draw, error => { plotly = null; console.error(error); });
  return () => {
    if (parentElement.isConnected) return;               // Streamlit also calls this between two quick updates
    plot.size.disconnect();
    window.Plotly?.purge(plot.div);
    plots.delete(parentElement);
  };
}
"""
_mount = st.components.v2.component("live_plot", js=_JS.replace("BUNDLE", BUNDLE).replace("PACKAGE", _PACKAGE.name), isolate_styles=False)


def live_plot(chart: dict[str, Any], key: str, *, before: Sequence[dict[str, Any]] = ()) -> None:
    """Show a chart (`charts.Chart`) that changes often. Another `layout.uirevision` (a run id) starts with a fresh view.

    before: charts that are played first, three times; not where the visitor's system asks for little motion.
    """
    _mount(key=key, data=encoded([*before, chart]), height=chart["layout"]["height"])


def encoded(charts: Sequence[dict[str, Any]]) -> bytes:
    """Charts as JSON: arrays and pandas' indexes as lists, numbers that are none as null. Times are to have no gaps.

    Not by `plotly.io.to_json`, which fails while another thread imports pandas, and doubles the bytes of single precision.
    """
    return orjson.dumps(charts, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):  # pandas' own kind
        return value.isoformat() if value == value else None
    array = value if isinstance(value, np.ndarray) else value.to_numpy()
    return np.ascontiguousarray(array) if array.dtype.kind in "biufM" else array.tolist()
