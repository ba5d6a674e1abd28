"""Data, networks, training, resume, verdict, what a visitor brings, export."""

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import onnxruntime
import pillow_heif
import pytest
import torch
from PIL import ExifTags, Image

from core.errors import Diverged, UserError
from core.image import backbone, baselines, export, own, predict, recognise
from core.image.config import HEAD, SCRATCH, TUNED, ImageConfig
from core.image.data import Pictures, builtin, check, load, save, split
from core.image.models import network_of
from core.image.session import Session, augmented, scaled
from core.image.train import train
from core.progress import Checkpoint
from core.runs import archive, store, uploads, worker

CPU = torch.device("cpu")
EXAMPLE = "example-image-digits"


def toy(count=60, size=28, colours=1, classes=3, seed=0):
    """Pictures whose class is where the light is: easy to learn."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    values = random.integers(0, 60, (count, colours, size, size), dtype=np.uint8)
    for n, label in enumerate(labels):
        band = size // classes
        values[n, :, label * band : (label + 1) * band] += 150
    return Pictures("toy", values, labels.astype(np.int64), tuple("abc"[:classes]), count * 2 // 3)


TINY = {"width": 4, "steps": 30, "batch_size": 8, "evaluate_every": 10}


@pytest.mark.parametrize("network", SCRATCH)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_every_network_takes_every_size(network, shape):
    net = network_of(ImageConfig(network=network, width=3), shape, 7).eval()
    assert net(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(("network", "optimiser"), [*((network, "AdamW") for network in SCRATCH), ("ResNet, early pooling", "Muon")])
def test_it_learns_what_can_be_learned(network, optimiser):
    settings = TINY | {"steps": 120, "learning_rate": 0.01, "optimiser": optimiser}
    *_, last = train(ImageConfig(network=network, **settings), toy(), device=CPU)
    assert last.metrics["val/accuracy"] == 1.0


def numbers(config, data, resume=None):
    return [(p.step, p.metrics) for p in train(config, data, device=CPU, resume=resume)]


@pytest.mark.parametrize(
    "settings",
    [
        {"augment": "none"},
        {"augment": "shift and flip"},
        {"augment": "shift, flip and cutout", "optimiser": "Muon", "precision": "bfloat16"},
    ],
)
def test_the_same_seed_gives_the_same_numbers_and_resume_goes_on(settings):
    config, data = ImageConfig(network="ResNet", **settings, **TINY), toy()
    whole, kept = [], None
    for progress in train(config, data, device=CPU):
        whole.append((progress.step, progress.metrics))
        if progress.step == 13:
            saved = progress.checkpoint()
            kept = Checkpoint({name: value.clone() for name, value in saved.tensors.items()}, dict(saved.state))
    assert str(whole) == str(numbers(config, data))
    assert str(whole[13:]) == str(numbers(config, data, kept))


@pytest.mark.parametrize("network", [HEAD, TUNED])
def test_photos_resume_too(network):
    config, data = ImageConfig(network=network, steps=6, batch_size=4, evaluate_every=3), toy(count=15, size=128, colours=3)
    whole, kept = [], None
    for progress in train(config, data, device=CPU):
        whole.append((progress.step, progress.metrics))
        if progress.step == 4:
            saved = progress.checkpoint()
            kept = Checkpoint({name: value.clone() for name, value in saved.tensors.items()}, dict(saved.state))
    assert str(whole[4:]) == str(numbers(config, data, kept))


def test_augmentation_moves_and_mirrors_but_keeps_the_picture():
    picture = torch.zeros(200, 1, 28, 28)
    picture[:, 0, 14, 5] = 1
    moved = augmented(picture, "shift and flip", torch.Generator().manual_seed(0))
    assert moved.shape == picture.shape and (moved.amax((1, 2, 3)) == 1).all()
    columns = moved[:, 0].amax(1).argmax(1)
    assert (columns < 14).any() and (columns > 14).any() and set(columns.tolist()) <= {*range(3, 8), *range(20, 25)}


def test_a_loss_that_is_no_number_stops_it(monkeypatch):
    monkeypatch.setattr(Session, "augmented", lambda self, pictures: pictures * float("inf"))
    with pytest.raises(Diverged, match="loss became nan in step 1"):
        list(train(ImageConfig(network="LeNet", **TINY), toy(), device=CPU))


def test_one_class_and_large_pictures_for_small_networks_are_refused():
    data = toy()
    same = Pictures("one", data.values, np.zeros(60, np.int64), ("a", "b"), 40)
    with pytest.raises(UserError, match="at least two classes"):
        next(train(ImageConfig(), same, device=CPU))
    with pytest.raises(UserError, match="up to 32 pixels"):
        next(train(ImageConfig(), toy(size=128, colours=3), device=CPU))


def test_a_new_head_on_efficientnet_learns_from_few_photos():
    config = ImageConfig(network="EfficientNet, new head", steps=60, batch_size=16, learning_rate=0.01, evaluate_every=20)
    *_, last = train(config, toy(count=36, size=128, colours=3), device=CPU)
    assert last.metrics["val/accuracy"] == 1.0


# data


def test_the_split_keeps_every_class_on_both_sides():
    labels = np.array([0] * 10 + [1] * 2 + [2])
    values = np.arange(13, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    moved, kinds, known = split(values, labels)
    assert set(kinds[:known]) == {0, 1, 2} and set(kinds[known:]) == {0, 1}
    assert sorted(moved[:, 0, 0, 0].tolist()) == list(range(13))
    assert all(labels[moved[n, 0, 0, 0]] == kinds[n] for n in range(13))


def test_a_dataset_survives_its_folder_and_a_damaged_one_is_told(tmp_path):
    data = toy()
    save(data, tmp_path)
    back = load(tmp_path)
    assert (back.values == data.values).all() and back.classes == data.classes and back.train == data.train
    (tmp_path / "pictures.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="damaged"):
        load(tmp_path)
    with pytest.raises(UserError, match="damaged"):
        check(Pictures("bad", data.values, data.labels + 5, data.classes, 40))


def test_built_in_data_comes_without_a_network():
    digits, fashion = builtin("digits"), builtin("fashion")
    assert digits.values.shape == (1797, 1, 8, 8) and fashion.values.shape == (12_000, 1, 28, 28)
    assert len(fashion.classes) == 10
    with pytest.raises(UserError):
        builtin("nothing")


def picture(color=(200, 30, 30), size=(40, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive_file:
        for name, content in files.items():
            archive_file.writestr(name, content)
    return buffer.getvalue()


def brought(files, **choices):
    return own.from_zip(uploads.save(zipped(files), "mine.zip"), **{"size": 28, "colour": True, **choices})


def test_the_template_is_what_is_taken(fresh_runs):
    data = own.from_zip(uploads.save(own.template(), "template.zip"), 28, False)
    assert data.classes == ("T-shirt", "ankle boot") and len(data.values) == 12 and not data.notes


def test_folders_name_the_classes(fresh_runs):
    files = {f"{kind}/{n}.png": picture((n, 0, 200 * (kind == "cat"))) for kind in ("cat", "dog") for n in range(5)}
    data = brought({**files, "cat/notes.txt": b"hello", "../dog/9.png": picture((9, 9, 9))})
    assert data.classes == ("cat", "dog") and len(data.values) == 11 and data.shape == (3, 28, 28)
    assert any("1 file" in note for note in data.notes)
    assert len(brought(files, left_out=(0, 1)).values) == 8
    moved = brought(files, renamed={"0": "dog", "2": "fox"})  # the folders take turns: both are cats
    assert moved.classes == ("cat", "dog", "fox") and np.bincount(moved.labels).tolist() == [3, 6, 1]
    listed = own.listing(uploads.save(zipped(files), "mine.zip"))
    assert [entry["class"] for entry in listed] == ["cat"] * 5 + ["dog"] * 5 and listed[3]["picture"].startswith("data:image/jpeg")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a/1.png": picture(), "a/2.png": picture((1, 2, 3))}, "of one class"),
        ({f"{n}/1.png": picture((n, n, n)) for n in range(60)}, "60 classes"),
        ({"a/1.png": picture()}, "at least two"),
        ({"a/1.png": b"text", "b/2.png": picture()[:60]}, "Not a PNG"),
        ({"a/in.zip": zipped({"x.png": picture()}), "b/1.png": picture()}, "zip inside the zip"),
    ],
)
def test_what_cannot_be_told_apart_gets_a_sentence(fresh_runs, files, sentence):
    with pytest.raises(UserError, match=sentence):
        brought(files)


def test_a_zip_with_a_broken_file_in_it_is_no_bug(fresh_runs):
    files = {f"{kind}/{n}.png": picture((n, 0, 200 * (kind == "cat"))) for kind in ("cat", "dog") for n in range(3)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive_file:
        for name, content in files.items():
            archive_file.writestr(name, content * 3)
    content = bytearray(buffer.getvalue())
    content[60:70] = b"\xff" * 10  # inside the first deflated file
    data = own.from_zip(uploads.save(bytes(content), "mine.zip"), 28, True)
    assert len(data.values) == 5 and any("damaged" in note for note in data.notes)


def test_the_same_picture_twice_counts_once_and_names_are_tidied(fresh_runs):
    files = {
        "a b/1.png": picture(),
        "a  b/2.png": picture(),
        "a b/3.png": picture((1, 1, 1)),
        "c/1.png": picture((2, 2, 2)),
        "c/2.png": picture((3, 3, 3)),
    }
    data = brought(files)
    assert data.classes == ("a b", "c") and len(data.values) == 4 and any("came twice" in note for note in data.notes)


def test_an_imported_dataset_that_would_fill_the_memory_is_refused(tmp_path):
    data = toy()
    save(data, tmp_path)
    np.savez_compressed(tmp_path / "pictures.npz", values=np.zeros((9000, 3, 128, 128), np.uint8), labels=data.labels)
    with pytest.raises(UserError, match="damaged"):
        load(tmp_path)
    (tmp_path / "pictures.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(UserError, match="damaged"):
        load(tmp_path)


def test_one_picture_left_over_waits_for_the_next_epoch():
    data = toy(count=27)
    run = Session(ImageConfig(**{**TINY, "batch_size": 17}), Pictures("odd", data.values, data.labels, data.classes, 18), CPU)
    sizes = [len(run.batch()[1]) for _ in range(4)]
    assert sizes == [17, 17, 17, 17]


def test_a_lonely_picture_and_one_in_two_classes_are_told(fresh_runs):
    files = {"a/1.png": picture(), "b/1.png": picture(), "b/2.png": picture((0, 0, 9)), "b/3.png": picture((0, 0, 99))}
    notes = " ".join(brought(files).notes)
    assert "Only one picture of a" in notes and "1 picture stands in two classes (a/1.png and b/1.png)" in notes


def test_a_large_zip_keeps_all_its_classes(fresh_runs, monkeypatch):
    files = {f"{kind}/{n}.png": picture((n, 0, 200 * (kind == "cat"))) for kind in ("cat", "dog") for n in range(9)}
    monkeypatch.setattr(own, "most", lambda size: 6)
    monkeypatch.setattr(own, "LISTED", 4)
    data = brought(files)
    assert np.bincount(data.labels).tolist() == [3, 3] and any("of the folders in turn" in note for note in data.notes)
    listed = own.listing(uploads.save(zipped(files), "mine.zip"))
    assert [(row["number"], row["class"]) for row in listed] == [(0, "cat"), (2, "cat"), (1, "dog"), (3, "dog")]


# verdict and rivals


def test_the_example_is_ahead_of_the_nearest_neighbour_but_not_beyond_chance():
    result = predict.evaluate(EXAMPLE)
    assert result["scores"]["network"]["accuracy"] >= 0.985 > result["scores"]["neighbour"]["accuracy"]
    assert not result["beats"] and 0.05 < result["chance"] < 1
    assert np.array(result["confusion"]).sum() == result["held_out"] == 899
    trace = np.trace(np.array(result["confusion"])) / 899
    assert trace == pytest.approx(result["scores"]["network"]["accuracy"])
    assert result["calibration"]["with temperature"]["error"] <= result["calibration"]["as it is"]["error"]


def test_a_class_that_was_not_held_out_has_no_recall(fresh_runs):
    data = toy(count=61)
    labels = np.where(np.arange(61) == 0, 3, data.labels)
    run = finished("LeNet", replace(data, labels=labels, classes=("a", "b", "c", "lonely")))
    result = store.result(run.id)
    assert result["recall"][3] is None and result["precision"][3] is None and None not in result["recall"][:3]
    assert predict.shares(np.array([1, 0]), np.array([4, 0])) == [0.25, None]


def test_how_many_pictures_the_simple_ways_saw_is_said(monkeypatch):
    data = toy(count=90)
    assert baselines.count(data) == data.train == 60
    monkeypatch.setattr(baselines, "MOST", 12)
    assert 12 <= baselines.count(data) <= 14  # no class is lost
    assert predict.evaluate(EXAMPLE)["learned_from"] == {"network": 898, "rivals": baselines.count(store.dataset(EXAMPLE))}


def test_known_answers_of_the_measures():
    assert predict.interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert predict.interval(0, 10)[0] == 0.0
    chances = np.array([[0.95, 0.05], [0.95, 0.05], [0.05, 0.95], [0.05, 0.95]])
    found = predict.calibration(chances, np.array([0, 0, 1, 0]))
    assert found["error"] == pytest.approx(0.95 - 0.75) and found["count"][9] == 4
    logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    heat = predict.temperature(logits, torch.tensor([0, 0, 0, 1]))  # right three times in four: e^(4/T) = 3
    assert heat == pytest.approx(4 / np.log(3), rel=0.03)


def test_rivals_learn_too():
    data = toy(90, colours=3)
    found = baselines.answers(data)
    truth = data.held_out()[1]
    assert (found["neighbour"] == truth).all() and (found["logistic"] == truth).all()
    assert len(set(found["majority"].tolist())) == 1 and set(found) == set(baselines.NAMES)


def test_the_cells_of_the_confusion_matrix_open():
    result = store.result(EXAMPLE)
    table = np.array(result["confusion"])
    off = np.argwhere((table > 0) & ~np.eye(10, dtype=bool))[0]
    found = predict.confused(EXAMPLE, int(off[0]), int(off[1]))
    assert len(found["pictures"]) == table[tuple(off)] and (np.diff(found["sure"]) <= 0).all()
    wrong = predict.mistakes(EXAMPLE)
    assert (wrong["said"] != wrong["truth"]).all() and len(wrong["pictures"]) == min(24, 899 - np.trace(table))


def test_new_pictures_are_named_and_other_sizes_refused(fresh_runs):
    values, labels = builtin("digits").held_out()
    found = predict.classify(EXAMPLE, values[:50])
    assert (found["chances"].argmax(1) == labels[:50]).mean() > 0.9 and np.allclose(found["chances"].sum(1), 1, atol=1e-5)
    with pytest.raises(UserError, match="size"):
        predict.classify(EXAMPLE, np.zeros((1, 1, 9, 9), np.uint8))
    named = predict.classify_zip(EXAMPLE, uploads.save(zipped({"x/dog.png": picture(), "2.png": picture((1, 1, 1))}), "mine.zip"))
    assert named["chances"].shape == (2, 10) and named["names"] == ["x/dog.png", "2.png"]
    alone = predict.classify_zip(EXAMPLE, uploads.save(picture(), "mug.png"))
    assert alone["chances"].shape == (1, 10) and alone["names"] == ["mug.png"]
    assert predict.classify_photo(EXAMPLE, picture())["chances"].shape == (1, 10)


# recognise


def photo(name):
    from sklearn.datasets import load_sample_image

    buffer = io.BytesIO()
    Image.fromarray(load_sample_image(name)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_photo_is_named():
    found = recognise.named(photo("china.jpg"))
    assert found["top"][0]["name"] == "palace" and found["familiar"] and len(found["top"]) == 5
    assert found["photo"].shape == (3, 224, 224) and "residence" in found["top"][0]["meaning"]
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    assert recognise.named(buffer.getvalue())["energy"] < found["energy"]


def test_a_picture_like_none_it_knows_is_said():
    digit = Image.fromarray(builtin("digits").held_out()[0][0, 0]).resize((224, 224), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    digit.save(buffer, "PNG")
    found = recognise.named(buffer.getvalue())
    assert not found["familiar"] and found["energy"] < recognise.FAMILIAR


def test_the_network_is_timms_with_the_weights_of_the_package():
    import timm

    same = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = torch.load(backbone.weights(), map_location="cpu", weights_only=True)
    same.load_state_dict(dict(zip(same.state_dict(), state.values(), strict=True)))
    given = torch.rand(2, 3, 224, 224) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(same.eval()(given), backbone.load()(given), atol=1e-4)


def test_weights_that_are_not_the_known_ones_are_not_used(monkeypatch):
    monkeypatch.setattr(backbone, "SHA256", "0" * 64)
    with pytest.raises(UserError, match="not the one"):
        backbone.weights()


@pytest.mark.parametrize("content", [b"", b"text", picture()[:50], b"GIF89a" + b"0" * 50])
def test_what_is_no_photo_gets_a_sentence(content):
    with pytest.raises(UserError):
        recognise.named(content)


# export


@pytest.mark.parametrize("network", ["LeNet", "ResNet", HEAD, TUNED])
def test_onnx_gives_what_torch_gives(fresh_runs, network):
    """The whole network, from pictures to logits: also where only a new head was trained."""
    photos = network in {HEAD, TUNED}
    run = finished(network, toy(count=9, size=128, colours=3) if photos else None, steps=2)
    trained = predict.opened(run.id)
    session = onnxruntime.InferenceSession(export.onnx(run.id))
    for count in (1, 5):
        values = trained.data.values[:count]
        (found,) = session.run(None, {"pictures": scaled(values).numpy()})
        assert np.abs(found - trained.logits(values).numpy()).max() < 1e-4


def test_what_is_drawn_says_what_it_is():
    run, data = Session(ImageConfig(**TINY), toy(), CPU), toy()
    assert run.sample()["truth"].tolist() == data.held_out()[1][:8].tolist()
    alone = Session(ImageConfig(**TINY), replace(data, train=len(data.values)), CPU)
    assert alone.sample()["truth"].tolist() == data.labels[:8].tolist()


def finished(network, data=None, **settings):
    run = store.create("image", ImageConfig(network=network, **{**TINY, **settings}), data or toy(), data="toy")
    worker.train_here(run.id)
    run = store.read(run.id)
    assert (run.status, run.result) == ("finished", "ready"), run.note
    return run


@pytest.mark.parametrize("network", ["VGG", HEAD])
def test_the_export_reproduces_the_accuracy_and_names_photos_without_manabi(fresh_runs, tmp_path, network):
    run = finished(network, toy(count=24, size=128, colours=3) if network == HEAD else None)
    content = archive.pack(run.id)
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path / "out")
    shown = photo("flower.jpg")
    (tmp_path / "out" / "photo.png").write_bytes(shown)
    done = subprocess.run([sys.executable, "reproduce.py"], cwd=tmp_path / "out", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-1500:]
    told = subprocess.run([sys.executable, "reproduce.py", "photo.png"], cwd=tmp_path / "out", capture_output=True, text=True, timeout=120)
    chances = predict.classify_photo(run.id, shown)["chances"][0]
    names = store.dataset(run.id).classes
    assert told.stdout.splitlines() == [f"{names[n]}: {100 * chances[n]:.1f} %" for n in np.argsort(-chances)], told.stderr[-1500:]
    back = archive.unpack(content)
    assert store.result(back)["scores"] == json.loads(json.dumps(store.result(run.id)["scores"]))


def telephone(kind):
    """Photos of kinds that are easily read wrongly: 16 bits of grey, HEIC, clear parts, a palette, one that lies on its side."""
    random, buffer = np.random.default_rng(0), io.BytesIO()
    picture = Image.fromarray(random.integers(0, 255, (40, 60, 3), dtype=np.uint8))
    if kind == "16 bits":
        Image.fromarray(random.integers(0, 65535, (40, 60), dtype=np.uint16)).save(buffer, "PNG")
    elif kind == "HEIC":
        pillow_heif.from_pillow(picture).save(buffer, format="HEIF")
    elif kind == "clear":
        Image.fromarray(random.integers(0, 255, (40, 60, 4), dtype=np.uint8)).save(buffer, "PNG")
    elif kind == "palette":
        picture.convert("P").save(buffer, "PNG", transparency=3)
    else:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_the_export_sees_photos_as_manabi_does(fresh_runs, tmp_path):
    run = finished("LeNet", steps=2)
    script = export.files(run.id)["reproduce.py"].decode()
    names: dict[str, object] = {"__name__": "reproduce", "__file__": str(tmp_path / "reproduce.py")}
    exec(compile(script, "reproduce.py", "exec"), names)
    for kind in ("16 bits", "HEIC", "clear", "palette", "on its side"):
        path = tmp_path / "photo"
        path.write_bytes(telephone(kind))
        for colours in (1, 3):
            assert (names["photo"](path, colours, 28)[0] == own.picture(28, colours == 3, path.read_bytes())).all(), kind
    (tmp_path / "reproduce.py").write_text(script)
    (tmp_path / "checkpoint.safetensors").write_bytes((store.folder(run.id) / "checkpoint.safetensors").read_bytes())
    (tmp_path / "photo.heic").write_bytes(telephone("HEIC"))
    without = "import runpy, sys; sys.modules['pillow_heif'] = None; sys.argv = ['reproduce.py', 'photo.heic']; "
    command = [sys.executable, "-c", without + "runpy.run_path('reproduce.py', run_name='__main__')"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stderr.startswith("photo.heic can't be read as a picture. HEIC"), done.stderr
