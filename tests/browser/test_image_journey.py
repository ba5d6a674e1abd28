"""The image page in a real Chromium: recognise, draw, train, look inside, bring bad files."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.browser.test_journeys import expect_status

pytestmark = pytest.mark.browser


def photo(size=(300, 200), format="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)).save(buffer, format)
    return buffer.getvalue()


def test_recognise_a_photo_and_refuse_what_is_none(server, page):
    page.goto(f"{server.url}/image")
    page.get_by_text("daisy").first.wait_for()
    page.get_by_text("A temple").click()
    page.get_by_text(re.compile("palace.*residence")).first.wait_for()
    page.get_by_text("Your photo").click()
    for name, content, words in (("cut.png", photo()[:300], "cut off"), ("noise.jpg", photo(format="JPEG"), "Familiarity")):
        page.get_by_text("At most 50 MB").first.wait_for()
        page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
        page.get_by_text(words).first.wait_for()
        page.get_by_role("button", name="Bring another file").first.click()
    assert page.errors == []


def test_train_draw_and_look_inside(server, page):
    page.goto(f"{server.url}/image?image_width=4&image_steps=60&image_evaluate_every=20")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**image_run=*")
    expect_status(page, "Finished")
    page.get_by_text(re.compile("LeNet names .* % of 899 held-out pictures")).first.wait_for()
    canvas = page.locator("canvas.upper-canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 40)
    page.mouse.down()
    for n in range(10):
        page.mouse.move(box["x"] + 140, box["y"] + 40 + 20 * n)
    page.mouse.up()
    page.get_by_text(re.compile(r"% sure")).first.wait_for()
    page.get_by_text("What it confuses").click()
    page.get_by_text("Rows: what it is").wait_for()
    page.get_by_role("tab", name="Look inside").click()
    page.get_by_text("Sum of all products and bias").wait_for()
    page.get_by_text("Orange speaks for it").wait_for()
    page.get_by_text("Accuracy by class").first.wait_for()
    assert page.errors == []
