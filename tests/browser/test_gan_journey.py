"""The GAN page in a real Chromium: draw, train, step by parts, play both roles, look inside, bring bad files."""

import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.browser.test_journeys import expect_status, press

pytestmark = pytest.mark.browser
SMALL = "gan_batch_size=32&gan_g_width=16&gan_d_width=16&gan_g_layers=1&gan_d_layers=1&gan_evaluate_every=20"


def train(page):
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**gan_run=*")


def test_draw_train_and_play_both_roles(server, page):
    page.goto(f"{server.url}/gan?{SMALL}&gan_steps=150")
    page.get_by_text("Draw your own").click()
    page.get_by_text("The canvas is blank").wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_disabled()
    canvas = page.locator("canvas.upper-canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    for n in range(12):
        page.mouse.move(box["x"] + 60 + 14 * n, box["y"] + 60 + 10 * n)
    page.mouse.up()
    page.get_by_text("The canvas is blank").wait_for(state="detached")
    train(page)
    expect_status(page, "Finished")
    page.get_by_text(re.compile("The GAN (beats|does not beat)")).first.wait_for()
    page.get_by_text("New samples").first.wait_for()

    page.get_by_role("radio", name="Play a role").click()
    page.get_by_text("Mark the ones you take for real").wait_for()
    page.get_by_role("button", name="3", exact=True).click()
    page.get_by_role("button", name="Judge me").click()
    page.get_by_text(re.compile("You are right about")).wait_for()
    page.get_by_text("Be the generator").click()
    page.get_by_role("button", name="Place", exact=True).click()  # by keyboard and number fields, without a mouse
    page.get_by_text("Points that fool D").wait_for()
    page.get_by_text(re.compile(r"^[01] of 1$")).wait_for()
    board = page.locator("canvas.upper-canvas").last
    board.click(position={"x": 120, "y": 120})  # and with the mouse
    page.get_by_text(re.compile(r"^[012] of 2$")).wait_for()

    page.get_by_role("radio", name="Look inside").click()
    page.get_by_text("Every layer over time").wait_for()
    link = page.url
    page.reload()
    page.get_by_text(re.compile("The GAN (beats|does not beat)")).first.wait_for()
    assert page.url.split("gan_run=")[1][:32] == link.split("gan_run=")[1][:32]
    assert page.errors == []


def test_one_round_part_by_part_and_one_network_alone(server, page):
    page.goto(f"{server.url}/gan?{SMALL}&gan_steps=50000")
    train(page)
    expect_status(page, "Training")
    press(page, "Next part", "Paused")
    page.locator(".js-plotly-plot[aria-label^='1 ·']").wait_for()
    press(page, "Next part", page.locator(".js-plotly-plot[aria-label^='2 ·']"))
    page.get_by_role("button", name="Step D", exact=True).click()
    expect_status(page, "Paused")
    press(page, "Play parts", page.locator(".js-plotly-plot[aria-label^='7 ·'], .js-plotly-plot[aria-label^='8 ·']").first)
    press(page, "Pause", "Paused")
    press(page, "Resume", "Training")
    press(page, "Stop", "Stopped")
    page.get_by_role("button", name="Same seed again").click()
    page.get_by_text("Side by side").first.wait_for()
    press(page, "Stop", "Stopped")
    assert page.errors == []


def test_pictures_of_ones_own_and_bad_files(server, page):
    page.goto(f"{server.url}/gan?{SMALL}&gan_steps=12&gan_latent_dim=9")
    page.get_by_text("Your own files").click()
    bad = {
        "empty.csv": (b"", "empty"),
        "one.csv": (b"x,y\n1,2\n", "All points are the same"),
        "text.csv": (b"a,b\nx,y\nz,w\n", "Two columns of numbers are needed"),
        "blank.png": (picture(255), "nothing dark"),
        "cut.jpg": (picture(0, "JPEG")[:200], "cut off"),
        "broken.zip": (b"PK\x03\x04 no zip", "damaged"),
    }
    for name, (content, words) in bad.items():
        page.get_by_text("At most 50 MB").wait_for()  # the fresh uploader, not the one that goes
        page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})
        page.get_by_text(words).first.wait_for()
        page.get_by_role("button", name="Bring another file").click()
    page.get_by_text("At most 50 MB").wait_for()
    pictures = io.BytesIO()
    random = np.random.default_rng(0)
    with zipfile.ZipFile(pictures, "w") as archive:
        for kind in ("cat", "dog"):
            for n in range(6):
                buffer = io.BytesIO()
                Image.fromarray(random.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(buffer, "PNG")
                archive.writestr(f"{kind}/{n}.png", buffer.getvalue())
    page.locator("input[type=file]").first.set_input_files(
        {"name": "pets.zip", "mimeType": "application/zip", "buffer": pictures.getvalue()}
    )
    page.get_by_text("12 pictures of 28x28 pixels").first.wait_for()
    assert page.get_by_role("slider").first.input_value() == "9"  # the settings stayed through all of it
    train(page)
    expect_status(page, "Finished")
    page.get_by_text(re.compile("The GAN (beats|does not beat)|too few samples")).first.wait_for()
    page.get_by_text("new samples").first.wait_for()
    page.get_by_role("button", name="Sheet as PNG").wait_for()
    page.get_by_text("Did it memorise?").click()
    page.get_by_text("below the nearest pictures").wait_for()
    assert page.errors == []


def picture(grey, format="PNG"):
    buffer = io.BytesIO()
    Image.new("L", (60, 60), grey).save(buffer, format)
    return buffer.getvalue()
