"""The image page by AppTest."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from streamlit.testing.v1 import AppTest

from core.image import own
from core.image.config import HEAD, ImageConfig
from core.image.data import Pictures, builtin
from core.pictures import zipped
from core.runs import store, uploads, worker
from tests.ui.test_pages import ROOT, button, opened, texts
from ui import image_fix, maps, sheets
from ui.image_data import OWN
from ui.image_inside import added_up, level, trust
from ui.image_use import as_digit
from ui.simulator import number_table, product
from ui.upload import told_apart


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
    assert "cat" in texts(page.markdown) and "Familiarity" in texts(page.caption)
    assert "LeNet names 98.9 % of 899 held-out pictures rightly" in texts(page.warning)  # ahead, but not beyond chance


def test_every_tab_of_a_run_opens(app, mine):
    page = opened(app, "image", image_run=mine)
    assert "held-out pictures rightly" in texts([*page.success, *page.warning])
    for tab, words in (
        ("Use", "Link to this run"),
        ("Look inside", "Orange speaks for it"),
        ("How it works", "image/train.py"),
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


def test_classes_that_are_not_shown_are_counted(app):
    files = {f"{kind:02d}/{n}.png": shot(100 * kind + n, "") for kind in range(23) for n in range(2 if kind < 22 else 5)}
    page = opened(app, "image", image_upload=uploads.save(zipped(files), "many.zip"), image_data=OWN)
    assert not page.exception and "… and 3 more classes, of 2 to 5 pictures." in texts(page.caption)


def test_classes_are_collected_on_the_page(app):
    page = opened(app, "image")
    next(group for group in page.button_group if group.key == "image_data").set_value("Your own classes").run()
    assert "Name the class first" in texts(page.caption)
    one, _ = own.collected("", "mug", {f"{n}.png": shot(n, "mug") for n in range(3)})
    page.query_params["image_upload"] = one
    page.run()
    assert "One class so far" in texts(page.info)
    page.selectbox(key="image_kind").set_value("mug").run()
    more = next(found for found in page.file_uploader if str(found.key).startswith("image_more_"))
    more.upload("new.png", shot(9, "mug"), "image/png").run()
    assert not page.exception and "mug: 4" in texts(page.caption)
    two, _ = own.collected(page.query_params["image_upload"], "cup", {f"{n}.png": shot(n, "cups") for n in range(2)})
    page.query_params["image_upload"] = two
    page.run()
    assert not page.exception and "6 pictures" in texts(page.caption) and not button(page, "Train").disabled
    button(page, "Pack a project file").click().run()
    assert not page.exception and page.get("download_button")
    page.query_params["image_upload"] = uploads.save(own.project(two, {"steps": 33}, 28), "mine.zip")
    page.run()
    assert not page.exception and page.number_input(key="image_steps").value == 33


def shot(number, kind):
    buffer = io.BytesIO()
    random = np.random.default_rng(number + 100 * len(kind))
    Image.fromarray(random.integers(0, 255, (30, 30, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_labels_are_corrected_and_it_trains_on(app, mine, engine, waiting):
    page = opened(app, "image", image_run=mine)
    page.session_state["image_fix"] = True
    page.run()
    assert not page.exception and "These labels the network believes least" in texts(page.caption)
    assert button(page, "Train on with 0 corrections").disabled
    data = own.corrected(mine, {"3": "dog", "5": ""})
    config = ImageConfig.model_validate(store.read(mine).config).updated({"warm": mine})
    run = store.create("image", config, data, data="mine")
    worker.train_here(run.id)
    page = opened(app, "image", image_run=run.id)
    assert "What changed" in texts(page.markdown)
    assert "from the further 20 steps of training as well as from labels that were corrected" in texts(page.caption)


def test_a_correction_starts_a_run_that_goes_on(app, mine, waiting, monkeypatch):
    def corrected_by_hand(rows, **_):
        return rows.assign(label=[{"cat": "dog", "dog": "cat"}[rows["label"][0]], *rows["label"][1:]])

    monkeypatch.setattr(image_fix.st, "data_editor", corrected_by_hand)
    page = opened(app, "image", image_run=mine)
    page.session_state["image_fix"] = True
    page.run()
    button(page, "Train on with 1 correction").click().run()
    begun = page.query_params["image_run"]
    waiting(lambda: store.read(begun).settled)
    run = store.read(begun)
    assert begun != mine and (run.status, run.config["warm"], run.mates) == ("finished", mine, [mine])
    changed = store.dataset(begun).labels != store.dataset(mine).labels
    assert changed.sum() == 1


def test_the_run_that_is_open_can_be_gone_on_from(app, waiting):
    run = store.create("image", ImageConfig(width=4, steps=20, evaluate_every=10), builtin("digits"), data="Digits")
    worker.train_here(run.id)
    page = opened(app, "image", image_run=run.id, image_width="4", image_steps="20")
    page.toggle(key="image_go_on").set_value(True).run()
    button(page, "Train").click().run()
    begun = page.query_params["image_run"]
    waiting(lambda: store.read(begun).settled)
    found = store.read(begun)
    assert begun != run.id and (found.status, found.config["warm"], found.mates) == ("finished", run.id, [run.id])


def test_a_run_that_failed_before_its_first_step_says_so_and_draws_nothing(app, runs_folder):
    values = np.zeros((8, 1, 28, 28), np.uint8)
    run = store.create("image", ImageConfig(warm="0" * 32), Pictures("mine", values, np.arange(8) % 2, ("cat", "dog"), 4), data="mine")
    worker.train_here(run.id)
    page = opened(app, "image", image_run=run.id)
    assert "go on from is not here" in texts(page.error) and "before its first step" in texts(page.caption)


def test_a_network_that_does_not_suit_is_told_and_another_offered(app):
    page = opened(app, "image")
    page.selectbox(key="image_network").set_value("EfficientNet, fine-tuned").run()
    assert "not for small pictures" in texts(page.warning) and button(page, "Train").disabled
    button(page, "Take ResNet, early pooling instead").click().run()
    assert not page.exception and not button(page, "Train").disabled


def test_the_other_datasets_show_their_own_example(app, monkeypatch):
    monkeypatch.delenv("MANABI_DATA", raising=False)
    page = opened(app, "image")
    group = next(group for group in page.button_group if group.key == "image_data")
    group.set_value("Fashion-MNIST").run()
    assert not page.exception and "94." in texts(page.success)
    next(group for group in page.button_group if group.key == "image_data").set_value("CIFAR-10").run()
    assert not page.exception and "does not come with Manabi" in texts(page.info) and button(page, "Train").disabled
    assert "CIFAR-10 are not on this machine" in texts(page.caption)
    page.session_state["image_tab"] = "Look inside"
    page.run()
    assert not page.exception and "Click a map" in texts(page.caption)


def test_what_a_browser_says_of_a_map_is_checked():
    counts = {"conv1": 4}
    assert maps.heard({"layer": "conv1", "map": 3}, counts) == ("conv1", 3)
    for event in (None, 3, {"layer": "conv1", "map": 4}, {"layer": "x", "map": 0}, {"layer": "conv1", "map": True}, {"map": 1}):
        assert maps.heard(event, counts) is None


def test_what_the_browser_is_told_of_a_layer():
    layer = {"name": "conv1", "shape": (5, 4, 4), "parameters": 45, "values": np.zeros((5, 4, 4), np.float32)}
    card = maps.card(layer)
    assert (card["count"], card["across"], card["side"]) == (5, 4, 4) and "45 parameters" in card["words"]
    numbers = maps.card(layer | {"values": np.zeros(7, np.float32)})
    assert (numbers["count"], numbers["across"], numbers["side"]) == (7, 3, 1)
    assert maps.card(layer | {"values": np.zeros(7, np.float32)}, pick=False)["count"] == 0
    assert maps.rounded(np.array([[1 / 3, 2.0], [-123456.0, 0.0]])) == [[0.33333, 2.0], [-123460.0, 0.0]]


def test_what_is_said_of_a_map():
    assert (
        "is blank: it tells" in trust(float("nan"), True)
        and "Not tested" in trust(float("nan"))
        and "do not trust it" in trust(0.8)
        and ":material/check:" in trust(-0.3)
    )


def test_curves_that_end_where_they_begin_tell_nothing():
    """However they wiggle in between."""
    assert level(np.array([0.97, 0.2, 0.99, 0.95])) and level(np.array([0.95, 0.6, 0.98]))
    assert not level(np.array([0.97, 0.95, 0.9])) and not level(np.array([0.1, 0.12, 0.9]))


def test_a_sum_that_misses_the_rise_of_the_logit_is_told():
    assert added_up(-8.7, 1.3).startswith(":material/warning: It adds up to -8.7; the logit rises by 1.3") and "misses" in added_up(5, 3.9)
    for total, rise in ((1.25, 1.3), (-4.1, -4.6), (0.05, 0.0)):
        assert "warning" not in added_up(total, rise) and added_up(total, rise).endswith("this picture.")


def test_the_simulator_convolves(app):
    """Its numbers are those of torch."""
    numbers, weights = np.random.default_rng(0).integers(0, 9, (7, 7)), np.array([[1, -1, 0], [0, 1, 1], [-1, 0, 1]])
    found = [[product(numbers, weights, y * 2, x * 2, 2) for x in range(2)] for y in range(2)]
    given = torch.tensor(numbers[None, None].astype(np.float32)), torch.tensor(weights[None, None].astype(np.float32))
    assert found == torch.nn.functional.conv2d(*given, stride=2, dilation=2)[0, 0].tolist()
    page = opened(app, "image")
    page.session_state["image_tab"] = "Look inside"
    page.session_state[f"window_{'example-image-digits'[-12:]}"] = True
    page.run()
    page.slider(key="window_stride").set_value(3).run()
    page.slider(key="window_Row").set_value(2).run()
    assert not page.exception and any("= 3" in found.value for found in page.latex)
    assert number_table(np.array([[4, -1]]), np.array([[True, False]])).count("<td") == 2


@pytest.mark.parametrize(
    ("layer", "words"),
    [("hidden", "of hidden is the sum of 128 products"), ("softmax", "Softmax: exp"), ("output", "Softmax: exp"), ("pool1", "Click a map")],
)
def test_every_kind_of_layer_is_taken_apart(app, layer, words):
    page = opened(app, "image")
    page.session_state["image_tab"] = "Look inside"
    page.run()
    page.selectbox(key=f"layer_{'example-image-digits'[-12:]}").set_value(layer).run()
    assert not page.exception and words in texts(page.caption)


def test_the_scrubber_says_which_moment_it_is(app, mine):
    page = opened(app, "image", image_run=mine)
    page.session_state["image_history"] = True
    page.run()
    assert not page.exception and "Epoch 5.0, step 20, accuracy on pictures held out" in texts(page.caption)


def test_what_was_taken_away_by_hand_is_there_after_f5(app):
    brought, _ = own.collected("", "mug", {f"{n}.png": shot(n, "mug") for n in range(3)})
    brought, _ = own.collected(brought, "cup", {f"{n}.png": shot(n, "cups") for n in range(3)})
    page = opened(app, "image", image_upload=brought, image_data="Your own classes")
    assert not page.exception and "6 pictures" in texts(page.caption)
    by = page.session_state["visitor"]
    uploads.annotate(brought, by, json.dumps({"left_out": [0], "renamed": {"1": "mug"}}))
    for name in ("Handwritten digits", "Your own classes"):
        next(group for group in page.button_group if group.key == "image_data").set_value(name).run()
    assert not page.exception and "5 pictures" in texts(page.caption)
    assert json.loads(uploads.notes(brought, by)) == {"left_out": [0], "renamed": {"1": "mug"}, "size": 128, "colour": True}
    assert uploads.notes(brought, "another visitor") == ""


def test_what_is_changed_by_hand_is_kept_with_the_pictures(app, monkeypatch):
    def by_hand(rows, **options):
        if "keep" in rows:
            assert list(rows["file"][:2]) == ["mug/00000.png", "mug/00001.png"] and "file" in options["disabled"]
        return rows.assign(keep=rows["number"] != 0) if "keep" in rows else rows

    brought, _ = own.collected("", "mug", {f"{n}.png": shot(n, "mug") for n in range(3)})
    brought, _ = own.collected(brought, "cup", {f"{n}.png": shot(n, "cups") for n in range(3)})
    monkeypatch.setattr(image_fix.st, "data_editor", by_hand)
    page = opened(app, "image", image_upload=brought, image_data="Your own classes")
    assert not page.exception and "5 pictures" in texts(page.caption)
    kept = json.loads(uploads.notes(brought, page.session_state["visitor"]))
    assert kept == {"left_out": [0], "renamed": {}, "size": 128, "colour": True}


def again(first, **parameters):
    """The page as after F5: a new session of the same visitor."""
    page = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=90)
    page.session_state["visitor"] = first.session_state["visitor"]
    return opened(page.run(), "image", **parameters)


def two_classes():
    brought, _ = own.collected("", "mug", {f"{n}.png": shot(n, "mug") for n in range(3)})
    return own.collected(brought, "cup", {f"{n}.png": shot(n, "cups") for n in range(3)})[0]


def size_of(page):
    return next(group for group in page.button_group if group.key == "image_size")


def test_a_link_to_data_alone_brings_the_settings_that_suit_it(app):
    brought = two_classes()
    page = opened(app, "image", image_upload=brought, image_data=OWN)
    assert page.selectbox(key="image_network").value == HEAD and page.number_input(key="image_steps").value == 100
    assert not button(page, "Train").disabled and page.query_params["image_network"] == HEAD  # F5 finds all of it
    page.number_input(key="image_steps").set_value(60).run()
    assert page.number_input(key="image_steps").value == 60  # it is the visitor's from then on
    page = again(page, image_upload=brought, image_data=OWN, image_steps="70")
    assert page.selectbox(key="image_network").value == "LeNet" and page.number_input(key="image_steps").value == 70  # a whole link
    page = again(page, image_upload=uploads.save(own.project(brought, {"steps": 33}), "mine.zip"), image_data=OWN)
    assert page.selectbox(key="image_network").value == "LeNet" and page.number_input(key="image_steps").value == 33  # a project's own
    page = again(page, image_data="Fashion-MNIST")
    assert page.selectbox(key="image_network").value == "ResNet" and page.number_input(key="image_steps").value == 800


def test_size_and_colour_are_there_after_f5(app):
    brought = two_classes()
    page = opened(app, "image", image_upload=brought, image_data=OWN)
    size_of(page).set_value(28).run()
    page.toggle(key="image_colour").set_value(False).run()
    assert not page.exception and "6 pictures** of 28x28 pixels" in texts(page.caption)
    page = again(page, image_upload=brought, image_data=OWN)
    assert size_of(page).value == 28 and not page.toggle(key="image_colour").value
    assert "6 pictures** of 28x28 pixels" in texts(page.caption)
    for name in ("Handwritten digits", OWN):  # away and back, as the widgets are gone meanwhile
        next(group for group in page.button_group if group.key == "image_data").set_value(name).run()
    assert size_of(page).value == 28 and not page.toggle(key="image_colour").value


def test_a_project_brings_its_size_and_keeps_another_that_was_chosen(app):
    brought = uploads.save(own.project(two_classes(), {}, 32, False), "mine.zip")
    page = opened(app, "image", image_upload=brought, image_data=OWN)
    assert size_of(page).value == 32 and not page.toggle(key="image_colour").value
    size_of(page).set_value(128).run()
    page = again(page, image_upload=brought, image_data=OWN)
    assert not page.exception and size_of(page).value == 128 and not page.toggle(key="image_colour").value
    page.query_params["image_upload"] = uploads.save(own.project(two_classes(), {}, 28, True), "another.zip")
    page.run()
    assert size_of(page).value == 28 and page.toggle(key="image_colour").value


def test_names_of_files_stay_where_nothing_else_has_them():
    names = ["cat.webp", "x/cat.webp", "cat (2).webp", "dog.jpg", "cat.webp", ".dog.jpg", "mug", "mug", "..."]
    found = ["cat.webp", "cat (2).webp", "cat (2) (2).webp", "dog.jpg", "cat (3).webp", "dog (2).jpg", "mug", "mug (2)", "picture"]
    assert told_apart(names) == found


def test_pictures_to_name_keep_their_names(app, mine):
    page = opened(app, "image", image_run=mine, image_tab="Use")
    files = [(name, shot(n, "cat"), "image/png") for n, name in enumerate(("b.png", "a.png", "b.png"))]
    page.file_uploader(key="image_batch_file_0").set_value(files).run()
    assert not page.exception
    named = next(table.value for table in page.dataframe if "picture" in table.value)
    assert list(named["picture"]) == ["b.png", "a.png", "b (2).png"]


def test_what_is_no_picture_is_left_out_by_its_name(app):
    page = opened(app, "image", image_upload=two_classes(), image_data=OWN)
    page.session_state["image_added"] = 1  # as after a shot: the block is open
    page.run()
    page.selectbox(key="image_kind").set_value("mug").run()
    more = next(found for found in page.file_uploader if str(found.key).startswith("image_more_"))
    more.set_value([("new.png", shot(9, "mug"), "image/png"), ("notes.png", b"text", "image/png")]).run()
    assert "mug: 4" in texts(page.caption) and r"Left out\: notes.png\: Not a PNG" in texts(page.error)


def test_place_and_time_of_a_photo_are_not_kept(app):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({ExifTags.GPS.GPSLatitudeRef: "N"})
    photo = io.BytesIO()
    Image.open(io.BytesIO(shot(1, "cat"))).save(photo, "JPEG", exif=exif)
    page = opened(app, "image")
    next(group for group in page.button_group if group.key == "image_way").set_value("Your photo").run()
    page.file_uploader(key="image_photo_file_0").upload("beach.jpg", photo.getvalue(), "image/jpeg").run()
    assert not page.exception and "Familiarity" in texts(page.caption)
    kept = uploads.content(page.query_params["image_photo_upload"])
    assert b"Exif" in photo.getvalue() and b"Exif" not in kept and Image.open(io.BytesIO(kept)).size == (30, 30)


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
