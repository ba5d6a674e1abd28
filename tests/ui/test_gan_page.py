"""The GAN page by AppTest: what a visitor does on it, without a browser."""

import time

import numpy as np
import pytest

from core.gan.config import GanConfig
from core.gan.data import Samples, builtin
from core.runs import store
from tests.ui.test_pages import opened, texts
from ui import charts_gan
from ui.sheets import sheet

TINY = GanConfig(steps=30, batch_size=16, g_width=8, d_width=8, g_layers=1, d_layers=1, latent_dim=3, evaluate_every=10)


@pytest.fixture(scope="module")
def mine(runs_folder):
    """A finished tiny run on pictures of the visitor's own."""
    from core.runs import worker

    values = np.random.default_rng(0).integers(0, 255, (40, 1, 28, 28), dtype=np.uint8)
    data = Samples("mine", values, 20, np.arange(40) % 2, ("cat", "dog"))
    run = store.create("gan", TINY.updated({"g_width": 4, "d_width": 4, "conditional": True}), data, data="mine")
    worker.train_here(run.id)
    return run.id


def test_the_page_shows_a_finished_fight_before_any_training(app):
    page = opened(app, "gan")
    assert [header.value for header in page.header] == ["Data", "Settings", "Train", "Use"]
    assert store.result("example-gan-ring8")["sentence"] in texts([*page.success, *page.warning])


def test_every_dataset_says_what_it_is(app):
    page = opened(app, "gan")
    for name, words in (("grid100", "100 clusters"), ("moons", "20,000 points"), ("digits", "10 classes")):
        next(c for c in page.button_group if c.key == "gan_data").set_value(name).run()
        assert not page.exception and words in texts(page.caption), name


def test_an_own_run_of_pictures_shows_every_block(app, mine):
    page = opened(app, "gan", gan_run=mine)
    assert "GAN" in texts([*page.success, *page.warning])
    for tab in ("Play a role", "Look inside", "How it works"):
        page.session_state["gan_tab"] = tab
        page.run()
        assert not page.exception, (tab, page.exception)
        assert tab in [header.value for header in page.header]


def test_a_stale_link_is_said(app):
    page = opened(app, "gan", gan_run="0" * 32)
    assert "does not exist here" in texts(page.warning)


def test_a_collapse_is_said_and_a_remedy_starts_beside_it(app):
    page = opened(app, "gan", gan_run="example-gan-collapse")
    assert "Mode collapse" in texts(page.warning)
    next(b for b in page.button if str(b.key).startswith("seed_A gradient penalty")).click().run()
    assert not page.exception
    named = page.query_params["gan_run"]
    run_id = named if isinstance(named, str) else named[0]
    run = store.read(run_id)
    assert run.config["regulariser"] == "R1" and run.mates == ["example-gan-collapse"]
    from ui.session import get_engine

    get_engine().ask(run_id, state="stopped")
    deadline = time.time() + 60
    while get_engine().look(run_id).active and time.time() < deadline:
        time.sleep(0.1)
    assert not get_engine().look(run_id).active


# charts


def test_every_chart_is_one_that_plotly_takes():
    import plotly.graph_objects as go

    data, grid = builtin("ring8"), np.random.default_rng(0).normal(size=(21, 21, 2)).astype(np.float32)
    sample = {"fake": data.values[:50], "surface": np.zeros((41, 41)), "manifold": grid, "arrows": data.values[:20]}
    axes = (np.linspace(-2, 2, 41), np.linspace(-2, 2, 41))
    pictures = builtin("digits").values[:10]
    for chart in (
        charts_gan.cloud_chart(data.values, sample, axes, layers=charts_gan.LAYERS),
        charts_gan.cloud_chart(data.values, {}, axes),
        charts_gan.phase_chart(np.arange(100.0), np.arange(100.0), title="t"),
        charts_gan.phase_chart(np.zeros(0), np.zeros(0), title="t"),
        charts_gan.sheet_chart(pictures),
        *(charts_gan.flow_chart(part) for part in range(14)),
        charts_gan.layers_chart([1, 2], np.ones((2, 3)), ["a", "b", "c"], title="t"),
    ):
        assert go.Figure(chart).layout.height > 0


def test_a_sheet_shows_every_picture_in_its_place():
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    found = np.asarray(sheet(pictures, 3))
    assert found.shape == (17, 26, 3)
    assert [found[4, 4, 0], found[4, 13, 0], found[4, 22, 0], found[13, 4, 0], found[13, 13, 0]] == [0, 1, 2, 3, 4]


def test_the_smaller_a_cell_the_darker_it_is():
    x = np.array([0.0, 0.1, 1.0, 3.0, 7.0, 20.0])
    grid = np.stack(np.meshgrid(x, [0.0, 1.0]), -1)
    cells = charts_gan._cells(grid)
    widths = [np.nanmax(cell["x"]) - np.nanmin(cell["x"]) for cell in cells]
    assert widths == sorted(widths, reverse=True)  # light to dark: wide to narrow


def test_the_lit_part_of_a_round_is_the_one_that_was_done():
    chart = charts_gan.flow_chart(11)
    thick = [a for a in chart["layout"]["annotations"] if a.get("arrowwidth") == 3]
    assert len(thick) == 3  # loss to D, D to fake, fake to G
    assert chart["layout"]["title"]["text"].startswith("11")
    assert not [a for a in charts_gan.flow_chart(0)["layout"]["annotations"] if a.get("arrowwidth") == 3]
