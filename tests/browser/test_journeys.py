"""One journey a page in a real Chromium, against a server started by the README's command."""

import io
import json
import re
import subprocess
import sys
import urllib.request
import warnings
import zipfile

import pytest
from playwright.sync_api import TimeoutError

from tests.conftest import ROOT, Server, wait_for

pytestmark = pytest.mark.browser
QUICK = "forecasting_steps=60&forecasting_horizon=6&forecasting_window=12&forecasting_hidden_size=4&forecasting_validate_every=5"
LONG = "forecasting_steps=20000&forecasting_patience=1000&forecasting_refit=false"


def expect_status(page, word):
    page.locator(".stMarkdownBadge", has_text=word).first.wait_for()


def press(page, name, shown):
    """Press a button, and again where nothing came of it, as one does: a panel drawn anew each second can miss a press on a busy machine.

    shown: what must come of it, the word of the run's badge or a locator.
    """
    button = page.get_by_role("button", name=name, exact=True)
    answer = page.locator(".stMarkdownBadge", has_text=shown).first if isinstance(shown, str) else shown
    for _ in range(3):
        button.click()
        try:
            answer.wait_for(timeout=20_000)
            return
        except TimeoutError:
            if not button.is_visible():  # it was not missed, only late
                break
            warnings.warn(f"{name!r} had to be pressed again: the panel missed it", stacklevel=2)
    answer.wait_for()


def choose(page, label, option):
    """Choose from a list, and open it again where the page ran under it and closed it."""
    offered = page.get_by_role("option", name=option)
    for _ in range(3):
        page.get_by_role("combobox", name=label).click()
        try:
            offered.wait_for(timeout=10_000)
            break
        except TimeoutError:
            warnings.warn(f"the list of {label!r} was closed by the page and is opened again", stacklevel=2)
    offered.click()


def train(page):
    """Press Train and wait until the new run, not the example, is on the page."""
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**forecasting_run=*")


def csv_file(rows=60, name="sales.csv"):
    lines = ["month;sales"] + [f"{1 + n % 12:02d}.{2015 + n // 12};{100 + n + 20 * (n % 12 == 5)},5" for n in range(rows)]
    text = "\n".join(line.replace(".", "/", 1) if n else line for n, line in enumerate(lines))
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


def test_a_deep_link_is_the_first_request_of_a_fresh_server(tmp_path, page):
    server = Server(tmp_path)
    try:
        page.goto(f"{server.url}/forecasting?forecasting_horizon=9")
        page.get_by_role("heading", name="Forecasting").wait_for()
        page.get_by_role("link", name="Runs").wait_for()  # its frame
        page.get_by_text("CPU core").or_(page.get_by_text("GB")).first.wait_for()
        assert page.get_by_role("slider").first.input_value() == "9"
        assert page.errors == []
    finally:
        server.stop()


def test_home_leads_to_a_capability(server, page):
    page.goto(server.url)
    page.get_by_role("heading", name="Manabi").wait_for()
    miniature = page.locator(".js-plotly-plot").first
    miniature.wait_for()
    seen = {miniature.get_attribute("aria-label")}
    page.locator(".js-plotly-plot[aria-label^='Airline passengers']").wait_for()  # the film comes to its end
    assert seen < {miniature.get_attribute("aria-label"), *seen} and all(title.startswith("Learning: step") for title in seen)
    still = page.context.browser.new_context(reduced_motion="reduce").new_page()
    still.goto(server.url)
    still.locator(".js-plotly-plot[aria-label^='Airline passengers'][data-updates='1']").wait_for()
    still.locator(".film .still").first.wait_for()
    assert not still.locator(".film .moving").first.is_visible() and page.locator(".film .moving").first.is_visible()
    still.context.close()
    page.get_by_role("link", name="Open Forecasting").click()
    page.get_by_role("heading", name="Forecasting", level=1).wait_for()
    assert page.errors == []


def test_a_series_brings_its_settings_and_the_link_carries_them(server, page):
    page.goto(f"{server.url}/forecasting")
    page.get_by_role("slider").first.wait_for()
    page.get_by_text("Sunspots", exact=True).click()
    page.wait_for_url("**forecasting_horizon=11*")
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_text("309 steps").wait_for()
    assert other.get_by_role("slider").first.input_value() == "11"
    other.get_by_role("button", name="Reset", exact=True).click()
    other.wait_for_function("() => document.querySelector('input[type=range]').value === '12'")
    page.get_by_text("Nile", exact=True).click()  # untouched settings give way to those of the next series
    page.wait_for_function("() => document.querySelector('input[type=range]').value === '5'")
    page.get_by_role("slider").first.press("ArrowRight")
    page.wait_for_url("**forecasting_horizon=6*")
    page.get_by_text("El Nino", exact=True).click()  # the visitor's own stay
    page.get_by_text("732 steps").wait_for()
    assert page.get_by_role("slider").first.input_value() == "6"


def test_headers_cookie_and_readiness(server, page):
    wait_for(lambda: json.loads(urllib.request.urlopen(f"{server.url}/readyz").read())["ready"], 30)
    response = page.goto(server.url)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert "object-src 'none'" in response.headers["content-security-policy"] and "geolocation=()" in response.headers["permissions-policy"]
    cookie = next(c for c in page.context.cookies() if c["name"] == "manabi_visitor")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and not cookie["secure"] and len(cookie["value"]) > 20
    behind = urllib.request.Request(server.url, headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in urllib.request.urlopen(behind).headers["set-cookie"]


def test_dockers_health_check_tells_a_server_that_answers_from_one_that_does_not(server):
    check = re.search(r"^HEALTHCHECK .*\\\n\s*CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    program, *options = json.loads(check.group(1))
    assert program == "python"
    for port, well in ((server.port, True), (1, False)):
        asked = [option.replace(":8501/", f":{port}/") for option in options]
        assert (subprocess.run([sys.executable, *asked], stderr=subprocess.DEVNULL).returncode == 0) == well


def test_a_bug_on_a_page_is_a_sentence_with_an_incident_that_is_logged_without_what_it_quotes(tmp_path, page):
    house = tmp_path / "house"
    (house / "pages").mkdir(parents=True)
    (house / "app.py").write_text((ROOT / "app.py").read_text())
    (house / "ui").symlink_to(ROOT / "ui")
    for path in (ROOT / "pages").glob("*.py"):
        (house / "pages" / path.name).write_text("raise ValueError('a secret of the visitor')")
    server = Server(tmp_path, str(house / "app.py"))
    try:
        page.goto(server.url)
        said = page.get_by_text("Manabi's fault, not yours").inner_text()
        page.get_by_role("link", name="Runs").wait_for()  # the frame stands
        assert "secret" not in page.locator("body").inner_text()
        told = [json.loads(line) for line in server.log.read_text().splitlines() if '"incident"' in line]
        assert [event["id"] for event in told] == re.findall("Incident ([0-9a-f]{8})", said) and told[0]["type"] == "ValueError"
        assert "secret" not in server.log.read_text()
    finally:
        server.stop()


def test_own_csv_train_watch_verdict_reload_and_runs_page(server, page):
    page.goto(f"{server.url}/forecasting?{QUICK}")
    page.get_by_text("Your own file").click()
    page.locator("input[type=file]").first.set_input_files(csv_file())
    page.get_by_text("60 steps").first.wait_for()
    page.get_by_text("semicolon").first.wait_for()
    train(page)
    expect_status(page, "Finished")
    page.get_by_text(re.compile("The LSTM (beats|does not beat)")).first.wait_for()
    page.get_by_text("beyond the end of the series").first.wait_for()
    link = page.url
    assert "forecasting_run=" in link

    page.reload()  # F5 is a new session: run, file and settings are still there
    page.get_by_text(re.compile("The LSTM (beats|does not beat)")).first.wait_for()
    page.get_by_text("60 steps").first.wait_for()

    page.get_by_role("radio", name="Look inside").click()
    page.get_by_text("Why gradients vanish").wait_for()
    page.get_by_text("How far back it remembers").wait_for()

    page.get_by_role("link", name="Runs").click()
    page.get_by_role("heading", name="Runs", level=1).wait_for()
    page.get_by_text("Tick one run").wait_for()
    other = page.context.browser.new_context().new_page()  # who has the link sees the run, and nobody else's list
    other.goto(f"{server.url}/runs")
    other.get_by_text("No runs yet").wait_for()
    other.goto(link)
    other.get_by_text(re.compile("The LSTM (beats|does not beat)")).first.wait_for()
    other.context.close()
    assert page.errors == []

    log = server.log.read_text()
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"server_started", "engine_ready", "run_started", "run_ended"} <= {event["event"] for event in events}
    assert "sales" not in log and "01/2015" not in log  # nothing of what was uploaded


def test_live_plots_keep_their_node_and_the_visitors_zoom(server, page):
    page.goto(f"{server.url}/forecasting?{LONG}")
    train(page)
    expect_status(page, "Training")
    plot = page.locator(".js-plotly-plot[aria-label='Loss']")
    plot.locator(".scatterlayer path.js-line").first.wait_for()
    page.evaluate(
        """() => { const node = document.querySelector(".js-plotly-plot[aria-label='Loss']");
        window.first = node; window.svg = node.querySelector('svg.main-svg'); window.blank = 0;
        const look = () => { const now = document.querySelector(".js-plotly-plot[aria-label='Loss']");
          if (now !== window.first || !now.querySelector('.scatterlayer path')) window.blank++; requestAnimationFrame(look); };
        look();
        Plotly.relayout(node, {'xaxis.range[0]': 5, 'xaxis.range[1]': 25}); }"""
    )
    before = int(plot.get_attribute("data-updates"))
    page.wait_for_function(f"() => +document.querySelector(\".js-plotly-plot[aria-label='Loss']\").dataset.updates >= {before + 4}")
    state = page.evaluate(
        """() => { const node = document.querySelector(".js-plotly-plot[aria-label='Loss']");
        return [node === window.first, node.querySelector('svg.main-svg') === window.svg, window.blank, node.layout.xaxis.range]; }"""
    )
    assert state == [True, True, 0, [5, 25]]
    press(page, "Pause", "Paused")
    page.get_by_role("button", name="Step", exact=True).click()
    press(page, "Resume", "Training")
    press(page, "Stop", "Stopped")
    assert page.errors == []


def test_two_tabs_watch_the_same_run_and_one_stops_it(server, page):
    page.goto(f"{server.url}/forecasting?{LONG}")
    train(page)
    expect_status(page, "Training")
    second = page.context.new_page()
    second.goto(page.url)
    expect_status(second, "Training")
    press(second, "Stop", "Stopped")
    expect_status(page, "Stopped")


def test_bad_uploads_are_sentences_and_nothing_is_lost(server, page):
    page.goto(f"{server.url}/forecasting?forecasting_horizon=9")
    page.get_by_text("Your own file").click()
    bad = {
        "empty.csv": (b"", "This file is empty"),
        "header.csv": (b"date,x\n", "header but no rows"),
        "photo.csv": (b"\x89PNG\r\n\x1a\n", "PNG picture"),
    }
    for name, (content, words) in bad.items():
        page.get_by_text("At most 50 MB").wait_for()  # the fresh uploader stands: a file given while it is put up is not taken
        page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
        page.get_by_text(words).first.wait_for()
        page.get_by_role("button", name="Bring another file").click()
    assert page.get_by_role("slider").first.input_value() == "9"
    assert page.get_by_role("button", name="Train", exact=True).is_disabled()
    assert page.errors == []


def test_a_download_comes_back(server, page, tmp_path):
    page.goto(f"{server.url}/forecasting?forecasting_run=example-forecasting-airline-gru")
    page.get_by_role("button", name="Pack weights, data and script").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the zip").click()
    path = tmp_path / "run.zip"
    download.value.save_as(path)
    assert "reproduce.py" in zipfile.ZipFile(path).namelist()
    page.goto(f"{server.url}/runs")
    page.locator("input[type=file]").first.set_input_files(path)
    page.get_by_text("Tick one run").wait_for()
    broken = io.BytesIO(path.read_bytes()[:2000])
    page.locator("input[type=file]").first.set_input_files({"name": "run.zip", "mimeType": "application/zip", "buffer": broken.read()})
    page.get_by_text("not a zip").first.wait_for()
    assert page.errors == []
