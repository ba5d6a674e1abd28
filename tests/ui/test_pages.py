"""Every page opened by AppTest, and what a visitor does on it, without a browser."""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from core.device import cores
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import Series
from core.runs import control, store, worker
from ui import forecasting_inside, forecasting_views, frame
from ui.live_plot import BUNDLE
from ui.run_panel import SLOW

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "pages").glob("*.py"))


def opened(app, name, **parameters):
    for key, value in parameters.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / f"{name}.py")).run()
    assert not app.exception, app.exception
    return app


def button(app, label):
    return next(b for b in app.button if b.label == label)


def texts(elements):
    return " ".join(str(element.value) for element in elements)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_page_opens(app, path):
    page = opened(app, path.stem)
    assert page.title


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Gives the machine a GPU as its driver tells, a worker that knows better, or nothing."""

    def has(driver="", worker=None):
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n[ -n '{driver}' ] || exit 9\n[ $1 = -L ] && echo 'GPU 0: {driver}' || echo '{driver}'\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.delenv("MANABI_DEVICE", raising=False)
        engine = SimpleNamespace(device_now=lambda: worker) if worker else None
        monkeypatch.setattr(frame, "engine_if_started", lambda: engine)
        frame._card.clear()

    yield has
    frame._card.clear()


CUDA = {"kind": "cuda", "name": "NVIDIA L4", "cores": 8, "memory_gib": 22}
CPU = {"kind": "cpu", "name": "x86_64", "cores": 3, "memory_gib": 0}


@pytest.mark.parametrize(
    ("driver", "worker", "badge"),
    [
        ("NVIDIA H100 80GB HBM3, 81559", None, "NVIDIA H100 80GB HBM3 · 80 GB"),  # no worker has torch yet
        ("NVIDIA L4, 23034", CUDA, "NVIDIA L4 · 22 GB"),
        ("NVIDIA L4, 23034", CPU, "3 CPU cores"),  # there is a card, but torch can't use it
        ("", None, f"{cores()} CPU core"),
    ],
)
def test_the_badge_says_what_trains_here(app, machine, driver, worker, badge):
    machine(driver, worker)
    assert badge in texts(app.run().sidebar.markdown)


def test_the_home_page_shows_a_real_verdict(app):
    assert store.result("example-forecasting-airline-lstm")["sentence"] in texts(app.caption)


def test_the_page_shows_something_real_before_any_training(app):
    page = opened(app, "forecasting")
    assert [header.value for header in page.header] == ["Data", "Settings", "Train", "Use"]
    assert "finished example" in texts(page.info)
    assert store.result("example-forecasting-airline-lstm")["sentence"] in texts([*page.success, *page.warning])
    assert len(page.dataframe) >= 1


@pytest.mark.parametrize("tab", ["Look inside", "How it works"])
def test_one_block_is_shown_at_a_time(app, tab):
    page = opened(app, "forecasting")
    page.session_state["forecasting_tab"] = tab
    page.run()
    assert not page.exception and [header.value for header in page.header] == ["Data", "Settings", "Train", tab]
    if tab == "How it works":
        assert any("class RecurrentForecaster" in code.value for code in page.code)
        assert "vanishing gradient" in texts(page.markdown)


def test_the_form_is_made_of_the_config(app):
    app.session_state["forecasting_advanced"] = True  # unfolded
    page = opened(app, "forecasting")
    keys = {
        element.proto.id
        for kind in ("slider", "number_input", "selectbox", "toggle", "checkbox", "button_group")
        for element in page.get(kind)
    }
    missing = [name for name in ForecastingConfig.model_fields if not any(key.endswith(f"-forecasting_{name}") for key in keys)]
    assert missing == []


def drawn(page, name):
    return [
        field.value for kind in (page.number_input, page.slider, page.selectbox) for field in kind if field.key == f"forecasting_{name}"
    ]


def test_folded_settings_are_drawn_only_where_the_visitor_or_the_link_set_one(app):
    page = opened(app, "forecasting")
    assert drawn(page, "horizon") and not drawn(page, "batch_size")
    page.session_state["forecasting_batch_size"] = 64  # as a preset does
    page.run()
    assert drawn(page, "batch_size") == [64] and drawn(page, "patience") == [ForecastingConfig().patience]
    button(page, "Reset").click().run()
    page.run()
    assert not drawn(page, "batch_size")
    page.session_state["forecasting_advanced"] = True
    page.run()
    assert drawn(page, "batch_size") == [ForecastingConfig().batch_size]


def test_folded_settings_of_a_link_count(app):
    page = opened(app, "forecasting", forecasting_batch_size="64")
    for _ in range(2):  # they stay
        assert drawn(page, "batch_size") == [64]
        assert page.query_params["forecasting_batch_size"] == "64"
        page.run()


@pytest.mark.parametrize(("named", "shown"), [("How it works", "How it works"), ("", "Use"), ("nonsense", "Use")])
def test_a_link_opens_a_certain_block(app, named, shown):
    page = opened(app, "forecasting", forecasting_tab=named)
    assert [header.value for header in page.header] == ["Data", "Settings", "Train", shown]
    assert ("not here" in texts(page.warning)) == (named == "nonsense")
    next(group for group in page.button_group if group.key == "forecasting_tab").set_value("Look inside").run()
    assert page.header[-1].value == "Look inside" and "not here" not in texts(page.warning)


def test_a_link_that_names_no_data_opens_the_default(app):
    page = opened(app, "forecasting", forecasting_data="")
    assert not button(page, "Train").disabled


def test_a_link_sets_the_form_and_reset_clears_this_page_only(app):
    app.session_state["other_page"] = "kept"
    page = opened(app, "forecasting", forecasting_horizon="9")
    assert page.slider(key="forecasting_horizon").value == 9
    button(page, "Reset").click().run()
    assert not page.exception
    assert page.slider(key="forecasting_horizon").value == ForecastingConfig().horizon
    assert page.session_state["other_page"] == "kept"


@pytest.mark.parametrize(
    "bad",
    [
        {"forecasting_horizon": "99999"},
        {"forecasting_horizon": "abc"},
        {"forecasting_model": "transformer"},
        {"forecasting_model": ""},
        {"forecasting_calendar": "off"},
    ],
)
def test_a_malformed_link_opens_with_defaults_and_says_so(app, bad):
    page = opened(app, "forecasting", **bad)
    assert "can't be used" in texts(page.warning)
    assert page.slider(key="forecasting_horizon").value == ForecastingConfig().horizon


def test_a_link_that_contradicts_itself_opens_with_defaults_and_says_so(app):
    page = opened(app, "forecasting", forecasting_difference="last season", forecasting_season="48", forecasting_horizon="9")
    assert "contradict each other" in texts(page.warning)
    assert page.slider(key="forecasting_horizon").value == ForecastingConfig().horizon
    assert not button(page, "Train").disabled


@pytest.mark.parametrize("run_id", ["0" * 32, "nonsense", "../../etc", "example-forecasting-nothing"])
def test_a_stale_run_link_opens_with_defaults_and_says_so(app, run_id):
    page = opened(app, "forecasting", forecasting_run=run_id)
    assert "shows its defaults" in texts(page.warning)
    assert "finished example" in texts(page.info)


def test_settings_that_cannot_work_disable_the_start_and_say_why(app):
    page = opened(app, "forecasting", forecasting_window="140")
    assert "too few" in texts(page.error)
    assert button(page, "Train").disabled


def test_train_watch_finish_use_and_find_it_among_the_runs(app):
    page = opened(app, "forecasting", forecasting_steps="30", forecasting_horizon="6", forecasting_window="12", forecasting_hidden_size="4")
    button(page, "Train").click().run()
    assert not page.exception, page.exception
    run_id = page.session_state["linked_forecasting_run"]
    for _ in range(200):
        if store.read(run_id).settled:
            break
        time.sleep(0.1)
        page.run()
        assert not page.exception
    page.run()
    assert store.read(run_id).status == "finished"
    assert store.result(run_id)["sentence"] in texts([*page.success, *page.warning])
    assert page.get("download_button")
    runs = opened(page, "runs")
    assert "LSTM · Airline passengers" in runs.dataframe[0].value["name"].tolist()


def test_of_several_targets_the_visitor_chooses_the_one_that_is_shown(app, monkeypatch):
    values = np.random.default_rng(0).normal(size=(80, 2)).cumsum(0)
    data = Series("two", pd.DataFrame(values, columns=["left", "right"]), ("left", "right"))
    run = store.create("forecasting", ForecastingConfig(window=8, horizon=4, hidden_size=4, steps=20, validate_every=5), data, data="two")
    worker.train_here(run.id)
    titles = []
    for module in (forecasting_views, forecasting_inside):
        monkeypatch.setattr(module, "live_plot", lambda chart, key: titles.append(chart["layout"]["title"]["text"]))
    page = opened(app, "forecasting", forecasting_run=run.id)
    page.session_state["forecasting_tab"] = "Look inside"
    page.run()
    for place, words in (("live", "Forecast of {}, step"), ("inside", "Hidden state h while it reads {}")):
        for name in data.targets:
            titles.clear()
            next(group for group in page.button_group if group.key == f"{place}_target_{run.id}").set_value(name).run()
            assert not page.exception and any(words.format(name) in title for title in titles), titles


def test_slow_motion_at_a_chosen_speed_and_a_live_setting(app):
    page = opened(app, "forecasting", forecasting_steps="20000", forecasting_patience="1000")
    button(page, "Train").click().run()
    run_id = page.session_state["linked_forecasting_run"]

    def wanted():
        assert not page.exception, page.exception
        return control.wanted(store.folder(run_id))

    def labelled(kind, label):
        return next(widget for widget in page.get(kind) if widget.label == label)

    for _ in range(200):
        if store.read(run_id).status == "running":
            break
        time.sleep(0.1)
    page.run()
    labelled("toggle", "Slow motion").set_value(True).run()
    assert wanted()["speed"] == SLOW
    labelled("number_input", "Steps a second").set_value(12.0).run()
    assert wanted()["speed"] == 12.0
    page.number_input(key=f"panel_{run_id[-12:]}_live_clip").set_value(0.5).run()
    assert wanted()["settings"] == {"clip": 0.5} and labelled("number_input", "Steps a second").value == 12.0
    control.ask(store.folder(run_id), speed=2.0)  # as a page of its own way to play, or another tab
    page.run()
    assert labelled("toggle", "Slow motion").value and labelled("number_input", "Steps a second").value == 2.0
    labelled("toggle", "Slow motion").set_value(False).run()
    assert wanted()["speed"] == 0.0 and wanted()["state"] == "running"
    button(page, "Stop").click().run()
    assert wanted()["state"] == "stopped"


def test_an_upload_becomes_a_series_and_a_bad_one_a_sentence(app):
    page = opened(app, "forecasting", forecasting_data="Your own file")
    assert page.get("download_button")  # the template
    good = "date,sales\n" + "\n".join(f"2020-{m:02d}-01,{m * 3 % 7}" for m in range(1, 13))
    page.file_uploader[0].upload("../../evil.csv", good.encode(), "text/csv").run()
    assert not page.exception, page.exception
    assert "12 steps" in texts(page.caption) and "evil.csv" in texts(page.markdown)
    button(page, "Bring another file").click().run()
    page.file_uploader[0].upload("picture.csv", b"\x89PNG\r\n\x1a\n....", "text/csv").run()
    assert not page.exception
    assert "PNG picture" in texts(page.error)


def test_the_bundle_that_live_plots_share_exists_in_this_streamlit():
    assert BUNDLE != "missing.js"
