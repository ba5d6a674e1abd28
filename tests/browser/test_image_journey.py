"""The image page in a real Chromium: recognise, draw, train, look inside, bring bad files."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import TimeoutError

from tests.browser.test_journeys import expect_status

pytestmark = pytest.mark.browser


def shoot(page, counted):
    """Take a photo, and press again where nothing was taken, as one does.

    Streamlit asks for the camera once more a second after it has appeared, and a press in that moment takes nothing.
    """
    for _ in range(10):
        page.get_by_role("button", name="Take Photo").click()
        with contextlib.suppress(TimeoutError):
            page.get_by_test_id("stCameraInput").locator("img").or_(counted).first.wait_for(timeout=3000)
            break
    counted.wait_for()


def photo(size=(300, 200), format="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)).save(buffer, format)
    return buffer.getvalue()


def test_recognise_a_photo_and_refuse_what_is_none(server, page):
    page.goto(f"{server.url}/image")
    page.get_by_text("Egyptian cat").first.wait_for()
    page.get_by_text("A temple").click()
    page.get_by_text(re.compile("palace.*residence")).first.wait_for()
    page.get_by_text("Your photo").click()
    for name, content, words in (("cut.png", photo()[:300], "cut off"), ("noise.jpg", photo(format="JPEG"), "Familiarity")):
        page.get_by_text("At most 50 MB").first.wait_for()
        page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
        page.get_by_text(words).first.wait_for()
        page.get_by_role("button", name="Bring another file").first.click()
    assert page.errors == []


def slide_the_window(page):
    """Choose a map by a click, go over it by keyboard and by itself: the numbers follow."""
    page.get_by_role("button", name="conv2, map 2").click()
    window = page.locator(".window")
    page.get_by_text("Map 2 of conv2").wait_for()
    out = page.get_by_role("application", name=re.compile("Map 2 of conv2"))
    out.focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft"):
        before = window.get_attribute("data-place")
        page.keyboard.press(key)
        assert window.get_attribute("data-place") != before
    row, column = map(int, window.get_attribute("data-place").split(","))
    words = window.locator(".sum").inner_text()
    assert words.startswith(f"Row {row}, column {column}: Sum of the products with this map") and "with the 3 other maps" in words
    parts = re.findall(r"\(?[\u2212]?\d+\.\d+\)?", words.split("\u2192")[0])  # what follows is done with the sum
    numbers = [float(value.replace("\u2212", "-").strip("()")) for value in parts]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.03)  # with this map + with the others + bias = the sum, as rounded
    page.get_by_role("button", name="Slide").click()
    page.locator(f'.window:not([data-place="{row},{column}"])').wait_for()
    page.get_by_role("button", name="Stop").last.click()


def test_classes_are_collected_with_the_camera(server, chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/image?image_data=Your+own+classes")
    for kind, shots in (("mug", 1), ("nothing", 2)):
        box = page.get_by_role("combobox", name="Class")
        page.wait_for_timeout(1000)  # the page has run once more since the last shot
        box.click()
        box.press_sequentially(kind)
        box.press("Enter")
        if kind == "mug":
            page.get_by_test_id("stButtonGroup").filter(has_text="Files").get_by_text("Camera").click()
        for n in range(shots):
            page.get_by_text(f"A shot of: {kind}").wait_for()
            shoot(page, page.get_by_text(f"{kind}: {n + 1}", exact=False).first)
    page.get_by_text("3 pictures").wait_for()
    assert "image_upload=" in page.url and "image_network=EfficientNet" in page.url  # the link named data alone: what suits it was set
    page.reload()  # what was collected is in the link
    page.get_by_text("3 pictures").wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_enabled()
    context.close()


def test_a_camera_that_is_refused_is_told(server, chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, permissions=[])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script("navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))")
    page.goto(f"{server.url}/image")
    page.get_by_text("Egyptian cat").first.wait_for()
    page.get_by_test_id("stButtonGroup").filter(has_text="Your photo").get_by_text("Camera").click()
    page.get_by_text("or bring a file instead").wait_for()
    page.get_by_text("would like to use your camera").wait_for()
    context.close()


def open_a_cell(server, page):
    """Click the largest number of the confusion matrix: the pictures behind it are shown."""
    run_id = re.search(r"image_run=(\w+)", page.url)[1]
    counts = np.array(json.loads((server.runs / run_id / "result.json").read_text())["confusion"])
    row, column = divmod(int(counts.argmax()), len(counts))
    table = page.get_by_test_id("stExpander").filter(has_text="What it confuses").get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    width = (table.bounding_box()["width"] - 52) / len(counts)  # beside the column of names
    table.locator(".dvn-scroller").click(position={"x": 52 + (column + 0.5) * width, "y": 52 + 35 * row})
    page.get_by_text(f"{row}, named {column}: ").first.wait_for()


def test_train_draw_and_look_inside(server, page):
    page.goto(f"{server.url}/image?image_width=4&image_steps=60&image_evaluate_every=20")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**image_run=*")
    expect_status(page, "Finished")
    page.get_by_text(re.compile("LeNet names .* % of 899 held-out pictures")).first.wait_for()
    page.get_by_text("Correct what is labelled wrongly").wait_for()
    page.wait_for_timeout(1000)  # the page has run once more since the result came: the canvas is the one that stays
    canvas = page.locator(".pen canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 40)
    page.mouse.down()
    for n in range(10):
        page.mouse.move(box["x"] + 140, box["y"] + 40 + 20 * n)
    page.get_by_text(re.compile(r"% sure")).first.wait_for()  # the pen is still down
    page.mouse.up()
    said = page.get_by_text("The network names it as you draw")
    page.get_by_role("button", name="Clear").click()
    said.wait_for()
    canvas.click()
    said.wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    said.wait_for()
    page.get_by_text("What it confuses").click()
    page.get_by_text("Rows: what it is").wait_for()
    open_a_cell(server, page)
    page.get_by_role("radio", name="Look inside").click()
    slide_the_window(page)
    page.get_by_role("button", name="softmax: choose a number").click(position={"x": 10, "y": 10})
    page.get_by_text("Class 0").wait_for()
    page.get_by_text("Orange speaks for it").wait_for()
    page.get_by_text("Accuracy by class").first.wait_for()
    assert page.errors == []
