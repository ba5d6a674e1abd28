"""The page of runs: compare, rename, delete, bring back; and what a run that does not answer leaves to do."""

import json
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import pytest

from core import log
from core.runs import archive, store, worker
from tests.conftest import wait_for
from tests.ui.test_pages import button, opened, texts
from ui import frame

EXAMPLE = "example-forecasting-airline-lstm"


@pytest.fixture(scope="module")
def once(runs_folder, small):
    """Two runs, trained here."""
    config, data = small
    runs = [store.create("forecasting", config.updated({"hidden_size": size}), data, data=data.name) for size in (4, 5)]
    for run in runs:
        worker.train_here(run.id)
    return runs


@pytest.fixture
def trained(app, once, request):
    """Copies of the two that are the visitor's, and the page of runs."""
    app.session_state["visitor"] = me = request.node.name
    copies = []
    for run in once:
        copy = secrets.token_hex(16)
        shutil.copytree(store.folder(run.id), store.root() / copy)
        record = store.read(run.id).model_copy(update={"id": copy, "owner": store.owner_of(me)})
        store.save_run(record)
        store.remember(me, copy)
        copies.append(record)
    return app, me, copies


def choose(app, *runs):
    page = opened(app, "runs")
    listed = [run.id for run in store.of(page.session_state["visitor"])]
    page.session_state["runs_table"] = {"selection": {"rows": [listed.index(run.id) for run in runs]}}
    page.run()
    assert not page.exception, page.exception
    return page


def test_the_list_says_what_differs_and_what_came_out(trained):
    app, _, runs = trained
    table = opened(app, "runs").dataframe[0].value
    assert sorted(table["settings that differ"]) == ["hidden_size 4", "hidden_size 5"]
    assert set(table["verdict"]) == {store.result(run.id)["sentence"] for run in runs} and set(table["status"]) == {"Finished"}


def test_several_runs_are_compared_on_one_chart_with_their_final_numbers(trained):
    app, _, runs = trained
    page = choose(app, *runs)
    assert "Compare" in [header.value for header in page.header]
    assert next(widget for widget in page.selectbox if widget.label == "Metric").value == "val/loss"
    finals = page.dataframe[1].value
    assert finals.shape[1] == 2 and "val/loss" in finals.index and (finals.loc["val/loss"] > 0).all()
    assert all(store.result(run.id)["sentence"] in texts(page.markdown) for run in runs)


def test_a_run_is_renamed_and_deleted_for_good_and_the_other_stays(trained):
    app, me, runs = trained
    page = choose(app, runs[0])
    next(widget for widget in page.text_input if widget.label == "Name").set_value("My first <b>run</b>").run()
    assert store.name(store.read(runs[0].id)) == "My first <b>run</b>"
    assert page.get("download_button") or button(page, "Pack weights, data and script")
    button(page, "Delete for good").click().run()
    assert not page.exception
    with pytest.raises(store.UnknownRun):
        store.read(runs[0].id)
    assert [run.id for run in store.of(me)] == [runs[1].id]


def test_the_run_of_somebody_else_leaves_the_list_and_is_not_deleted(trained):
    app, me, runs = trained
    store.change(runs[0].id, owner=store.owner_of("somebody else"))
    page = choose(app, runs[0])
    assert not page.text_input
    button(page, "Delete for good").click().run()
    assert store.read(runs[0].id).status == "finished"
    assert [run.id for run in store.of(me)] == [runs[1].id]


def test_a_packed_run_comes_back_as_the_visitors_own(app):
    page = opened(app, "runs")
    page.file_uploader[0].upload("run.zip", archive.pack(EXAMPLE), "application/zip").run()
    assert not page.exception
    back = store.of(page.session_state["visitor"])
    assert [run.settings() for run in back] == [store.read(EXAMPLE).settings()]
    assert page.dataframe[0].value["verdict"].tolist() == [store.result(EXAMPLE)["sentence"]]
    page.file_uploader[0].upload("run.zip", b"PK no zip at all", "application/zip").run()
    assert "zip" in texts(page.error) and len(store.of(page.session_state["visitor"])) == 1


def test_the_three_cells_race_from_the_same_seed(app):
    settings = {"steps": "20", "horizon": "6", "window": "12", "hidden_size": "4", "refit": "false"}
    page = opened(app, "forecasting", **{f"forecasting_{name}": value for name, value in settings.items()})
    button(page, "Race the three cells").click().run()
    first = store.read(page.session_state["linked_forecasting_run"])
    family = [first, *(store.read(mate) for mate in first.mates)]
    assert sorted(run.config["model"] for run in family) == ["gru", "lstm", "rnn"] and len({run.config["seed"] for run in family}) == 1
    for run in family:
        wait_for(lambda run=run: store.read(run.id).settled)
    page.run()
    assert not page.exception and all(store.read(run.id).status == "finished" for run in family)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals")
def test_a_run_that_does_not_answer_to_stop_can_be_ended(app):
    page = opened(app, "forecasting", forecasting_steps="20000", forecasting_patience="1000", forecasting_refit="false")
    button(page, "Train").click().run()
    run_id = page.session_state["linked_forecasting_run"]
    wait_for(lambda: store.checkpoint_step(run_id) > 0)
    process = store.read(run_id).pid
    os.kill(process, signal.SIGSTOP)  # stuck: it sees no wish
    try:
        page.run()
        button(page, "Stop").click().run()
        assert not any(b.label == "End it" for b in page.button)
        asked = store.folder(run_id) / "control.json"
        os.utime(asked, (time.time() - 60, time.time() - 60))
        page.run()
        button(page, "End it").click().run()
    finally:
        try:
            os.kill(process, signal.SIGCONT)
        except ProcessLookupError:
            process = 0
    run = wait_for(lambda: (now := store.read(run_id)).settled and now)
    assert run.status == "stopped" and "as you asked" in run.note and "is kept" in run.note
    assert store.checkpoint_step(run_id) > 0
    page.run()
    assert not page.exception


def test_the_library_quotes_no_message_of_a_bug(capsys, caplog):
    from streamlit import error_util

    from core import log

    log.mute("streamlit.error_util")
    try:
        raise ValueError("salaries.csv, row 3")
    except ValueError as error:
        error_util.handle_user_script_exception(error, lambda error: True)
    assert "salaries" not in capsys.readouterr().err + caplog.text


def test_a_bug_is_logged_with_an_id_and_without_what_it_was_about(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(log._logger, "handlers", [])  # the one that there is may write to what another test has closed
    monkeypatch.setattr(frame.st, "error", lambda text, **_: shown.append(text))
    try:
        raise ValueError("salaries.csv, row 3")
    except ValueError as error:
        assert frame.script_error(error)
    number = shown[0].split("Incident ")[1].split()[0]
    told = json.loads(next(line for line in capsys.readouterr().err.splitlines() if number in line))
    assert told["id"] == number and told["type"] == "ValueError" and Path(__file__).name in told["stack"][-1]
    assert "salaries" not in json.dumps(told) + shown[0]
