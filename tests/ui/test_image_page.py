"""The image page by AppTest."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from core.image.config import ImageConfig
from core.image.data import Pictures
from core.runs import store, uploads, worker
from tests.ui.test_pages import button, opened, texts
from ui import sheets
from ui.image_use import as_digit


@pytest.fixture(scope="module")
def mine(runs_folder):
    """A finished tiny run on coloured pictures of the visitor's own."""
    values = np.random.default_rng(0).integers(0, 255, (40, 3, 28, 28), dtype=np.uint8)
    data = Pictures("mine", values, (np.arange(40) % 2).astype(np.int64), ("cat", "dog"), 28)
    run = store.create("image", ImageConfig(width=3, steps=20, batch_size=8, evaluate_every=5), data, data="mine")
    worker.train_here(run.id)
    return run.id


def test_it_recognises_a_photo_and_shows_a_finished_example(app):
    page = opened(app, "image")
    assert "daisy" in texts(page.markdown) and "Familiarity" in texts(page.caption)
    assert "LeNet names 98.9 % of 899 held-out pictures rightly" in texts(page.success)


def test_every_tab_of_a_run_opens(app, mine):
    page = opened(app, "image", image_run=mine)
    assert "held-out pictures rightly" in texts([*page.success, *page.warning])
    for tab, words in (
        ("Use", "Link to this run"),
        ("Look inside", "Orange speaks for it"),
        ("How it works", "image/train.py"),
        ("Draw", "grey ones"),
    ):
        page.session_state["image_tab"] = tab
        page.run()
        assert not page.exception and words in texts(page.caption), tab


def test_a_zip_becomes_classes_and_a_bad_one_a_sentence(app):
    page = opened(app, "image")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for kind in ("cat", "dog"):
            for n in range(4):
                picture = io.BytesIO()
                Image.fromarray(np.random.default_rng(n).integers(0, 255, (30, 30, 3), dtype=np.uint8)).save(picture, "PNG")
                archive.writestr(f"{kind}/{kind}{n}.png", picture.getvalue() + kind.encode())
    page.query_params["image_upload"] = uploads.save(content.getvalue(), "pets.zip")
    next(group for group in page.button_group if group.key == "image_data").set_value("Your own classes").run()
    assert not page.exception and "8 pictures" in texts(page.caption) and not button(page, "Train").disabled
    page.query_params["image_upload"] = uploads.save(b"PK\x03\x04", "broken.zip")
    page.run()
    assert not page.exception and "damaged" in texts(page.error) and button(page, "Train").disabled


def test_a_drawing_is_cut_to_its_ink_and_centred():
    ink = np.zeros((280, 280))
    ink[20:60, 200:210] = 255
    small = as_digit(ink, 8)
    assert small.shape == (1, 1, 8, 8) and small.dtype == np.uint8
    columns = np.flatnonzero(small[0, 0].max(0) > 60)
    assert set(columns) <= {3, 4} and small[0, 0].max() > 150
    assert not as_digit(np.zeros((280, 280)), 8).any()


def test_colours_of_maps():
    found = sheets.signed(np.array([[[-1.0, 0.0, 1.0]]]))
    assert found[0, :, 0, 1].tolist() == [255, 255, 255] and found[0, 0, 0, 2] > found[0, 2, 0, 2] and found[0, 2, 0, 0] > found[0, 0, 0, 0]
    assert sheets.grey(np.array([[[0.0, 5.0]]])).ravel().tolist() == [0, 255]
    over = sheets.overlaid(np.full((1, 2, 2), 100, np.uint8), np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert over.shape == (3, 2, 2) and over[:, 0, 1].tolist() == [100, 100, 100] and over[0, 0, 0] > 200 and over[2, 1, 0] > 200
