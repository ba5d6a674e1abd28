"""Classes collected by hand, project files, labels corrected, photos of a telephone, networks of the hub."""

import io
import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pillow_heif
import pytest
import timm
from huggingface_hub import get_hf_file_metadata
from PIL import ExifTags, Image
from safetensors.torch import save_file

from core import pictures
from core.errors import UserError
from core.image import hub, own, predict
from core.image.config import ImageConfig
from core.image.data import PHOTOS, builtin, loyal, photo, split
from core.pictures import open_picture
from core.runs import uploads
from tests.core.image.test_train import finished, toy


def shot(value, size=(40, 30)):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(value).integers(0, 255, (*size, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(picture, quality, **more):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, **more)
    return buffer.getvalue()


def shots(*numbers):
    return {f"{n}.png": shot(n) for n in numbers}


def test_classes_are_collected_shot_by_shot(fresh_runs):
    first, problems = own.collected("", "mug", shots(1, 2))
    assert problems == [] and [row["class"] for row in own.listing(first)] == ["mug", "mug"]
    with pytest.raises(UserError, match="one class"):
        own.from_zip(first, 32, True)
    more = {"3.png": shot(3), "broken.png": b"text", "large.png": shot(4, (900, 700))}
    second, problems = own.collected(first, "a/b\\c", more, left_out=[0], renamed={"1": "cup"})
    assert len(problems) == 1 and problems[0].startswith("broken.png: Not a PNG")
    assert [row["class"] for row in own.listing(second)] == ["cup", "a b c", "a b c"]
    data = own.from_zip(second, 128, True)
    assert data.classes == ("a b c", "cup") and len(data.values) == 3
    assert len(own.listing(first)) == 2  # the earlier collection is as it was
    sizes = [Image.open(io.BytesIO(content)).size for content in own.project_files(second).values()]
    assert max(min(size) for size in sizes) == pictures.KEPT


def test_a_picture_is_kept_as_a_zip_would_keep_it(fresh_runs):
    """Small ones byte by byte; what a camera noted beside the pixels is gone, and what is large becomes small."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    brought = {
        "small.png": shot(1),
        "fine.jpg": jpeg(Image.open(io.BytesIO(shot(2, (300, 400)))), 90),
        "noted.jpg": jpeg(Image.open(io.BytesIO(shot(3, (30, 200)))), 90, exif=exif),
        "heavy.png": shot(4, (500, 500)),
    }
    found, problems = own.collected("", "mug", brought)
    kept = list(own.project_files(found).values())
    assert problems == [] and kept[:2] == list(brought.values())[:2]
    assert kept[2] == pictures.without_notes(brought["noted.jpg"]) and b"Exif" not in kept[2] and len(kept[3]) < own.MOST_KEPT
    assert [pictures.suffix(content) for content in kept] == [".png", ".jpg", ".jpg", ".jpg"]


@pytest.mark.parametrize("quality", [60, 75, 95])
@pytest.mark.parametrize("side", [None, 160, 512])
def test_the_same_photo_in_two_classes_is_told_however_it_was_saved(fresh_runs, quality, side):
    files = {}
    for title in PHOTOS:
        whole, _ = open_picture(photo(title))
        share = side / min(whole.size) if side else 1
        again = whole.resize([round(share * pixels) for pixels in whole.size], Image.Resampling.LANCZOS)
        files |= {f"first/{title}.jpg": photo(title), f"again/{title}.jpg": jpeg(again, quality)}
    found = own.from_zip(uploads.save(pictures.zipped(files), "photos.zip"), 128, True)
    assert any(note.startswith("4 pictures stand in two classes (first/") for note in found.notes)
    assert own.doubles(found.values[found.labels == 0], list(PHOTOS)) == []


def test_a_photo_added_to_two_classes_and_brought_in_a_zip_is_told(fresh_runs):
    zipped = uploads.save(pictures.zipped({"cats/1.jpg": photo("A cat"), "cups/1.jpg": photo("A cup of coffee")}), "photos.zip")
    found, _ = own.collected(zipped, "dogs", {"cat.jpg": photo("A cat")})
    (said,) = (note for note in own.from_zip(found, 128, True).notes if "two classes" in note)
    files = [row["file"] for row in own.listing(found)]
    assert "1 picture stands in two classes (cats/00000.jpg and dogs/" in said and said.count("/") == 2
    assert [name for name in files if name in said] == ["cats/00000.jpg", "dogs/00002.jpg"]  # where it can be looked through


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_different_pictures_are_not_called_the_same(name):
    data = builtin(name)
    assert own.doubles(data.values, [data.classes[label] for label in data.labels]) == []


def test_many_pictures_that_are_all_the_same_are_no_burden():
    values = np.zeros((20_000, 1, 28, 28), np.uint8)
    found = own.labelled("black", values, [str(n % 10) for n in range(len(values))], [])
    assert len(found.values) == 10 and "1 picture stands in two classes (0 and 1 and 2" in found.notes[-1]


def test_what_is_no_picture_or_has_no_name_is_told(fresh_runs):
    with pytest.raises(UserError, match="name"):
        own.collected("", " ./ ", shots(1))
    with pytest.raises(UserError, match=r"a.txt: Not a PNG"):
        own.collected("", "mug", {"a.txt": b"text"})


def test_a_project_file_opens_as_it_was_left(fresh_runs):
    mugs, _ = own.collected("", "mug", shots(1, 2))
    brought, _ = own.collected(mugs, "cup", shots(3, 4))
    settings = ImageConfig.from_preset("Your photos").model_dump()
    packed = own.project(brought, settings, 28, False, left_out=[3], renamed={"0": "glass"})
    again = uploads.save(packed, "my project.zip")
    assert own.project_in(again) == {"settings": settings, "size": 28, "colour": False} and own.project_in(brought) == {}
    assert [row["class"] for row in own.listing(again)] == ["glass", "cup", "mug"]
    assert "Only one picture of cup, glass, mug" in own.from_zip(again, 32, True).notes[0]
    assert len(own.listing(own.collected(again, "cup", shots(9))[0])) == 4
    odd = uploads.save(own.project(brought, {}, 8), "odd.zip")  # a size that is not offered for pictures of one's own
    assert own.project_in(odd)["size"] == 128


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"settings": 3}', b"\xff\xfe"])
def test_a_project_with_bad_settings_is_a_zip(fresh_runs, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("project.json", content)
        archive.writestr("a/1.png", shot(1))
    assert own.project_in(uploads.save(buffer.getvalue(), "x.zip")) == {}


# labels that are not believed


def test_wrong_labels_are_suspected_corrected_and_learned(fresh_runs):
    data = toy(count=90)
    wrong = data.labels.copy()
    wrong[[3, 70]] = (wrong[[3, 70]] + 1) % 3
    run = finished("LeNet", type(data)("toy", data.values, wrong, data.classes, data.train), steps=100, learning_rate=0.01)
    found = predict.suspects(run.id, 4)
    assert {3, 70} <= set(found["rows"].tolist()) and found["known"].tolist() == [row < data.train for row in found["rows"]]
    mended = own.corrected(run.id, {"3": data.classes[data.labels[3]], "70": data.classes[data.labels[70]], "5": ""})
    assert len(mended.values) == 89 and mended.train == data.train - 1
    assert (mended.labels == np.delete(data.labels, 5)).all() and "3 pictures were corrected" in mended.notes[0]
    with pytest.raises(UserError, match="two classes"):
        own.corrected(run.id, {str(n): "a" for n in range(90)})
    named = own.corrected(run.id, {"0": "new one"})
    assert named.classes == ("a", "b", "c", "new one") and named.labels[0] == 3


def test_a_correction_touches_no_other_picture(fresh_runs):
    """Names of classes that are no names of folders stay what they are."""
    data = replace(toy(count=40, classes=4), classes=("abc", "dog", ".net", "c/d"))
    run = finished("LeNet", data)
    found = own.corrected(run.id, {"0": "dog"})
    assert found.classes == data.classes and found.labels[0] == 1 and (found.labels[1:] == data.labels[1:]).all()


def test_what_was_learned_from_stays_learned_from():
    """More pictures shuffle the halves anew: what the earlier run knows must not be held out."""
    before, more = toy(count=60, size=8), toy(count=90, size=8, seed=1)
    values, labels = np.concatenate([more.values, before.values]), np.concatenate([more.labels, before.labels])
    values, labels, train_count = split(values, labels, seed=3)
    mixed = replace(before, values=values, labels=labels, train=train_count)
    found = loyal(mixed, before)
    seen = {picture.tobytes() for picture in before.known()[0]}
    assert any(picture.tobytes() in seen for picture in mixed.held_out()[0])
    assert not any(picture.tobytes() in seen for picture in found.held_out()[0]) and len(found.values) == len(mixed.values)
    pairs = {(picture.tobytes(), int(label)) for picture, label in zip(values, labels, strict=True)}
    assert pairs == {(picture.tobytes(), int(label)) for picture, label in zip(found.values, found.labels, strict=True)}
    assert loyal(mixed, toy(size=28)) is mixed


def test_all_classes_are_counted_however_many_pictures_there_are(fresh_runs):
    files = {f"cats/{n}.png": b"" for n in range(own.LISTED + 5)} | {"dogs/1.png": b"", "__MACOSX/dogs/1.png": b"", "x.png": b""}
    found = own.counts(uploads.save(pictures.zipped(files), "pets.zip"))
    assert found == {"cats": own.LISTED + 5, "dogs": 1, own.NO_FOLDER: 1}


# photos of a telephone, and those that ship


def test_a_heic_photo_is_taken():
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (200, 30, 30))).save(buffer, format="HEIF")
    picture, notes = open_picture(buffer.getvalue())
    assert picture.size == (64, 48) and notes == [] and abs(picture.getpixel((30, 20))[0] - 200) < 12
    with pytest.raises(UserError, match="HEIC"):
        open_picture(buffer.getvalue()[:200])


def test_the_photos_that_ship_are_pictures():
    assert all(min(open_picture(photo(title))[0].size) > 200 for title in PHOTOS)


# networks of the hub

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def tiny_hub(tmp_path, monkeypatch):
    """A repository with a tiny network of timm's, as if it had been downloaded."""
    import huggingface_hub

    network = timm.create_model("test_vit", num_classes=3).eval()
    save_file(network.state_dict(), tmp_path / hub.WEIGHTS)
    facts = {
        "architecture": "test_vit",
        "num_classes": 3,
        "label_names": ["cat", "dog", "mug"],
        "pretrained_cfg": {"input_size": [3, 160, 160]},
    }
    (tmp_path / hub.SETTINGS).write_text(json.dumps(facts))
    asked = []

    def fetch(repository, name, revision, token):
        assert token is False  # never the server's own
        asked.append((repository, name, revision))
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, token: SimpleNamespace(size=1000))
    hub.opened.cache_clear()
    return SimpleNamespace(folder=tmp_path, asked=asked, facts=facts, network=network)


def test_a_network_of_the_hub_names_a_photo(tiny_hub):
    found = hub.named("timm/tiny", REVISION, photo("A cat"))
    assert {row["class"] for row in found["top"]} == {"cat", "dog", "mug"}
    assert sum(row["chance"] for row in found["top"]) == pytest.approx(1, abs=1e-5)
    assert tiny_hub.asked == [("timm/tiny", hub.SETTINGS, REVISION), ("timm/tiny", hub.WEIGHTS, REVISION)]
    assert found["weights"] == sum(weights.numel() for weights in tiny_hub.network.parameters())


@pytest.mark.parametrize(
    ("repository", "revision"), [("timm", REVISION), ("../x/y", REVISION), ("../x", REVISION), ("timm/tiny", "main"), ("timm/tiny", "")]
)
def test_a_network_is_named_with_its_commit(tiny_hub, repository, revision):
    with pytest.raises(UserError):
        hub.named(repository, revision, photo("A cat"))
    assert tiny_hub.asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "hf-hub:someone/else"},
        {"model_args": {"checkpoint_path": "/tmp/x.pth"}},
        {"num_classes": 4},
        {"num_classes": float("inf")},
        {"pretrained_cfg": {"input_size": [3, 99999, 99999]}},
        {"architecture": "none"},
    ],
)
def test_settings_that_lead_elsewhere_or_do_not_fit_are_refused(tiny_hub, change):
    (tiny_hub.folder / hub.SETTINGS).write_text(json.dumps(tiny_hub.facts | change))
    with pytest.raises(UserError, match="no network of timm"):
        hub.named("timm/tiny", REVISION, photo("A cat"))


def test_without_internet_the_hub_is_told_to_be_away(tiny_hub, monkeypatch):
    import huggingface_hub

    def away(url, token):
        return get_hf_file_metadata("http://127.0.0.1:1/nobody")  # as the library fails when nobody answers

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", away)
    with pytest.raises(UserError, match="internet"):
        hub.fetched("timm/tiny", REVISION)


def test_the_hub_is_not_for_a_demo_nor_for_huge_weights(tiny_hub, monkeypatch):
    import huggingface_hub

    for size in (hub.MOST_BYTES + 1, None):
        monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, token, size=size: SimpleNamespace(size=size))
        with pytest.raises(UserError, match="MB are fetched"):
            hub.fetched("timm/tiny", REVISION)
    monkeypatch.setenv("MANABI_DEMO", "1")
    with pytest.raises(UserError, match="demo"):
        hub.fetched("timm/tiny", REVISION)
