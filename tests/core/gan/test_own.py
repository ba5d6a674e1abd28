import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core import pictures
from core.errors import UserError
from core.gan import own
from core.runs import uploads


def picture(color=40, size=(40, 30), mode="RGB", format="PNG", **options):
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, format, **options)
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def bring(fresh_runs):
    return lambda content, title="my file": uploads.save(content, title)


# pictures


def test_a_zip_becomes_pictures_and_folders_become_classes(bring):
    content = zipped({f"{kind}/{n}.png": picture((n, n, n)) for kind in ("cat", "dog") for n in range(10)} | {"notes.txt": b"hello"})
    for size, colour in ((28, False), (32, True)):
        samples = own.pictures_of_zip(bring(content), size, colour)
        assert samples.shape == (3 if colour else 1, size, size) and len(samples.values) == 20 and samples.train == 10
        assert samples.classes == ("cat", "dog") and sorted(samples.labels) == [0] * 10 + [1] * 10
        assert any("1 file (notes.txt): Not a PNG" in note for note in samples.notes)


def test_pictures_are_cropped_in_the_centre(bring):
    wide = Image.new("L", (90, 30), 255)
    wide.paste(0, (30, 0, 60, 30))
    buffer = io.BytesIO()
    wide.save(buffer, "PNG")
    samples = own.pictures_of_zip(bring(zipped({"wide.png": buffer.getvalue(), "other.png": picture((255, 255, 255))})), 28, False)
    assert sorted(int(value.max()) for value in samples.values) == [pytest.approx(0, abs=9), 255]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped({f"{n}.png": b"" for n in range(20_001)}), "at most 20,000"),
        (zipped({"a.png": picture()}), "1 picture can be read"),
        (zipped({"a.png": picture(), "b.png": picture()}), "All pictures are the same"),
        (zipped({"a.zip": zipped({"b.png": picture()}), "c.zip": zipped({})}), "zip inside the zip"),
        (zipped({"a.gif": b"GIF89a....", "b.gif": b"GIF89a"}), "GIF is not taken"),
        (zipped({}), "0 pictures can be read"),
        (b"PK\x03\x04 broken", "damaged"),
    ],
)
def test_zips_that_hold_nothing_to_learn_are_said(bring, content, words):
    with pytest.raises(UserError, match=words):
        own.pictures_of_zip(bring(content), 28, False)


def test_a_zip_bomb_is_not_unpacked(bring):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(6):
            archive.writestr(f"{n}.png", bytes(100 * 2**20))
    with pytest.raises(UserError, match="unpacks to more than 500 MB"):
        own.pictures_of_zip(bring(buffer.getvalue()), 28, False)


def test_names_that_climb_lead_nowhere(bring, fresh_runs):
    before = set(fresh_runs.parent.rglob("*"))
    upload = bring(zipped({"../../evil.png": picture(1), "/etc/passwd.png": picture(2), "a/../../b.png": picture(3)}))
    samples = own.pictures_of_zip(upload, 28, False)
    assert len(samples.values) == 3 and ".." not in samples.classes
    assert not [path for path in set(fresh_runs.parent.rglob("*")) - before if "evil" in path.name or "passwd" in path.name]


def test_two_classes_with_one_picture_each_can_be_learned_from(bring):
    samples = own.pictures_of_zip(bring(zipped({"a/1.png": picture(1), "b/2.png": picture(200)})), 28, False)
    assert samples.train == 2 and samples.classes == ("a", "b") and any("none are held out" in note for note in samples.notes)


def test_a_huge_picture_is_refused_before_it_is_read():
    for side in (7_000, 20_000):
        with pytest.raises(UserError, match="40 million pixels"):
            pictures.open_picture(picture(0, (side, side), "1"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_picture_that_is_cut_off_is_said(share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8))
    for format in ("JPEG", "PNG"):
        buffer = io.BytesIO()
        noise.save(buffer, format)
        content = buffer.getvalue()
        with pytest.raises(UserError, match="cut off"):
            pictures.open_picture(content[: int(share * len(content))])


def test_every_kind_of_pixel_becomes_eight_bits_of_red_green_and_blue():
    deep = np.linspace(0, 65535, 1200).reshape(30, 40).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(deep).save(buffer, "PNG")
    kinds = {
        "16 bits": buffer.getvalue(),
        "CMYK": picture((10, 20, 30, 40), mode="CMYK", format="JPEG"),
        "palette": picture(3, mode="P"),
        "grey and clear": picture((5, 0), mode="LA"),
        "clear": picture((0, 0, 0, 0), mode="RGBA"),
        "1 bit": picture(1, mode="1"),
        "WebP": picture(format="WEBP"),
    }
    for name, content in kinds.items():
        found, _ = pictures.open_picture(content)
        assert found.mode == "RGB" and found.size == (40, 30), name
    assert pictures.open_picture(kinds["clear"])[0].getpixel((0, 0)) == (255, 255, 255)
    assert np.array_equal(np.asarray(pictures.open_picture(kinds["16 bits"])[0])[..., 0], (deep / 257).round().astype(np.uint8))
    buffer = io.BytesIO()
    Image.fromarray(np.full((30, 40), 65535, np.uint16)).save(buffer, "PNG")
    assert pictures.open_picture(buffer.getvalue())[0].getpixel((0, 0)) == (255, 255, 255)


def test_of_an_animation_the_first_frame_is_taken():
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    found, notes = pictures.open_picture(buffer.getvalue())
    assert found.getpixel((5, 5))[0] > 200 and "first frame" in notes[0]


@settings(max_examples=150, deadline=5000)
@given(st.one_of(st.binary(max_size=400), st.binary(max_size=200).map(lambda tail: picture()[:60] + tail)))
def test_any_bytes_give_a_picture_or_a_sentence(content):
    try:
        pictures.open_picture(content)
    except UserError as error:
        assert str(error)


# points


def test_two_columns_become_points(bring):
    rows = "\n".join(f"{n},{n * n},{'ab'[n % 2]}" for n in range(50))
    upload = bring(("x,y,kind\n" + rows + "\nNaN,3,a\n4,inf,b").encode())
    assert own.profile(upload)["numbers"] == ["x", "y"]
    samples = own.points_of_table(upload, "x", "y", "kind")
    assert len(samples.values) == 50 and samples.train == 25 and samples.classes == ("a", "b")
    assert "2 rows without two numbers" in samples.notes[0]
    assert {tuple(v) for v in samples.values} == {(n, n * n) for n in range(50)}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1,2\n1,2\n1,2", "same"),
        ("300000000,1\n300000010,1", "same"),
        ("1,1e300\n2,2", "can be learned from"),
        ("a,1\nb,2", "must hold numbers"),
        ("5,6", "same"),
    ],
)
def test_points_that_hold_nothing_to_learn_are_said(bring, rows, words):
    with pytest.raises(UserError, match=words):
        own.points_of_table(bring(f"x,y\n{rows}\n".encode()), "x", "y")


def test_three_points_are_enough(bring):
    samples = own.points_of_table(bring(b"x,y\n1,2\n3,4\n5,7\n"), "x", "y")
    assert samples.train == 3 and "none are held out" in samples.notes[-1]


def test_points_fall_where_it_is_dark():
    paper = Image.new("L", (100, 50), 255)
    paper.paste(0, (75, 0, 100, 10))  # the upper right corner
    buffer = io.BytesIO()
    paper.save(buffer, "PNG")
    samples = own.points_of_picture(buffer.getvalue(), "corner")
    low, high = samples.values.min(0), samples.values.max(0)
    assert low == pytest.approx([1.0, 0.6], abs=0.05) and high == pytest.approx([2.0, 1.0], abs=0.05)


def test_a_blank_picture_is_said():
    with pytest.raises(UserError, match="nothing dark"):
        own.points_of_picture(picture((255, 255, 255)), "blank")
    with pytest.raises(UserError, match="nothing dark"):
        own.points_of_ink(np.zeros((10, 10)), "blank")


def test_the_kind_is_told_from_the_content(bring):
    assert own.kind_of(zipped({"a.png": b""})) == "pictures"
    assert own.kind_of(picture()) == "picture" and own.kind_of(picture(format="WEBP")) == "picture"
    assert own.kind_of(own.template()) == "table"
    assert own.profile(bring(own.template()))["labels"] == ["class"]
    with pytest.raises(UserError, match="damaged"):
        own.kind_of(b"PK\x03\x04")


def test_several_files_become_one(bring):
    content = pictures.bundle({"1 a.png": picture(1), "../2 b.png": picture(90)})
    assert sorted(zipfile.ZipFile(io.BytesIO(content)).namelist()) == ["1 a.png", "2 b.png"]
    assert len(own.pictures_of_zip(bring(content), 28, False).values) == 2
