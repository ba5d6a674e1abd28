"""Pictures from outside: what cameras note beside them, which way up they are, and which of a large zip are taken."""

import io
import struct
import zipfile

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageOps

from core import pictures
from core.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 255, (6, 10, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
GPS = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 51.0, 29.0)}


def photo(orientation=1, format="JPEG", **more):
    """A photo as a telephone writes it: with place, time, and which way up it was held."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.DateTime] = orientation, "2026:01:02 03:04:05"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(GPS)
    buffer = io.BytesIO()
    pillow_heif.register_heif_opener()
    Image.fromarray(PIXELS).save(buffer, format, exif=exif, **more)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_exif_says(orientation):
    content = photo(orientation, "PNG")
    found, _ = pictures.open_picture(content)
    assert (np.asarray(found) == np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))).all()
    assert found.size == ((80, 48) if orientation < 5 else (48, 80))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_what_a_camera_notes_is_taken_away(format):
    content = photo(1 if format == "HEIF" else 6, format)  # HEIC has its own way to turn, which the reader heeds
    assert Image.open(io.BytesIO(content)).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    clean = pictures.without_notes(content)
    assert not dict(Image.open(io.BytesIO(clean)).getexif()) and not any(trace in clean for trace in pictures.TRACES)
    before, after = (np.asarray(pictures.open_picture(given)[0]).astype(int) for given in (content, clean))
    assert before.shape == after.shape == ((48, 80, 3) if format == "HEIF" else (80, 48, 3)) and np.abs(before - after).mean() < 12
    assert pictures.without_notes(clean) == clean


def test_of_a_zip_only_pictures_with_notes_are_written_anew():
    plain = io.BytesIO()
    Image.fromarray(PIXELS).save(plain, "PNG")
    files = {"a/1.jpg": photo(), "a/2.png": plain.getvalue(), "b/x.txt": b"EXIF", "project.json": b"{}"}
    found = zipfile.ZipFile(io.BytesIO(pictures.without_notes(pictures.zipped(files))))
    kept = {name: found.read(name) for name in found.namelist()}
    assert list(kept) == list(files) and kept["a/1.jpg"] != files["a/1.jpg"] and b"Exif" not in kept["a/1.jpg"]
    assert all(kept[name] == files[name] for name in list(files)[1:])
    same = pictures.zipped({"a/2.png": plain.getvalue()})
    assert pictures.without_notes(same) == same
    for other in (b"", b"a,b\n1,EXIF\n", b"PK\x03\x04 no zip"):
        assert pictures.without_notes(other) == other


def test_a_photo_with_notes_that_cannot_be_opened_is_not_kept(monkeypatch):
    cut = photo()[:300]
    with pytest.raises(UserError, match="cut off"):
        pictures.without_notes(cut)
    found = zipfile.ZipFile(io.BytesIO(pictures.without_notes(pictures.zipped({"a/1.jpg": cut, "a/2.jpg": photo()}))))
    assert found.read("a/1.jpg") == b"" and found.read("a/2.jpg").startswith(b"\xff\xd8")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1000)
    with pytest.raises(UserError, match="too large"):
        pictures.without_notes(photo())


def test_a_zip_that_is_cleaned_keeps_all_its_files():
    """Two of one name, one that packs well, one that is damaged."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a/1.jpg", photo())
        archive.writestr("a/1.jpg", photo(3))
        archive.writestr("annotations.json", b" " * 10**6)
    clean = pictures.without_notes(buffer.getvalue())
    assert len(pictures.of_zip(clean, 32, True, 9)[0]) == 2 and len(clean) < 20_000
    content = bytearray(pictures.zipped({"a/1.jpg": photo(), "b/2.jpg": photo(), "b/3.jpg": photo()}))
    content[200:220] = b"\0" * 20  # inside the first
    assert pictures.of_zip(pictures.without_notes(bytes(content)), 32, True, 9)[1] == ["b/2.jpg", "b/3.jpg"]


def test_what_is_written_anew_keeps_what_a_network_needs():
    """Pixels of small pictures, the height of wide ones, and no comment."""
    tiny = Image.fromarray(PIXELS[:16, :16])
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime] = "2026:01:02 03:04:05"
    buffer = io.BytesIO()
    tiny.save(buffer, "PNG", exif=exif)
    assert (np.asarray(pictures.open_picture(pictures.without_notes(buffer.getvalue()))[0]) == np.asarray(tiny)).all()
    wide = io.BytesIO()
    Image.new("RGB", (2000, 600), "red").save(wide, "JPEG", exif=exif, comment=b"Main Street 1")
    clean = pictures.without_notes(wide.getvalue())
    assert Image.open(io.BytesIO(clean)).size == (1707, 512) and b"Main Street" not in clean
    assert [pictures.suffix(content) for content in (clean, buffer.getvalue(), b"text")] == [".jpg", ".png", ""]


def damaged(content, how):
    """A photo whose EXIF is nonsense, its pixels whole."""
    begin = content.index(b"Exif\0\0") + 6
    return content[:begin] + how(content[begin : begin + 60]) + content[begin + 60 :]


@pytest.mark.parametrize(
    "how",
    [
        lambda part: b"\xff" * len(part),
        lambda part: part[:8] + b"\xff\xff" + part[10:],
        lambda part: part[:4] + b"\xff\xff\xff\x7f" + part[8:],
        lambda part: part[:10] + b"\xff" * (len(part) - 10),
        lambda part: b"\0" * len(part),
    ],
)
def test_odd_exif_costs_no_picture(how):
    content = damaged(photo(), how)
    assert pictures.open_picture(content)[0].size == (80, 48)
    values, names, _ = pictures.of_zip(pictures.zipped({"a/1.jpg": content, "b/2.jpg": photo()}), 32, True, 10)
    assert len(values) == 2 and names == ["a/1.jpg", "b/2.jpg"]
    assert pictures.open_picture(pictures.without_notes(content))[0].size == (80, 48)


def test_exif_of_another_type_than_its_tag_costs_no_picture():
    """Tag 0x0112 as text, and a resolution that is no fraction: what Pillow reads it can't write again."""
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 2)
    tiff += struct.pack("<HHI4s", ExifTags.Base.Orientation, 2, 4, b"up!\0") + struct.pack(
        "<HHI4s", ExifTags.Base.XResolution, 2, 4, b"abc\0"
    )
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", exif=b"Exif\0\0" + tiff + b"\0" * 4)
    with pytest.raises((TypeError, ValueError, struct.error)):
        ImageOps.exif_transpose(Image.open(io.BytesIO(buffer.getvalue()))).getexif().tobytes()
    assert pictures.open_picture(buffer.getvalue())[0].size == (80, 48)


def test_what_is_cut_off_of_a_large_zip_is_cut_off_of_every_folder():
    def picture(n):
        buffer = io.BytesIO()
        Image.new("L", (9, 9), n).save(buffer, "PNG")
        return buffer.getvalue()

    content = pictures.zipped({f"{kind}/{n}.png": picture(n) for kind, count in (("cat", 9), ("dog", 3), ("fox", 1)) for n in range(count)})
    _, names, notes = pictures.of_zip(content, 8, False, 6)
    assert names == ["cat/0.png", "dog/0.png", "fox/0.png", "cat/1.png", "dog/1.png", "cat/2.png"]
    assert notes == ["7 files (2.png, 3.png, …): 6 are taken, of the folders in turn."]
    assert [name for name, _ in pictures.readable(content, 100)][:6] == names


def test_a_picture_of_one_pixel_is_a_picture():
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), (9, 99, 200)).save(buffer, "PNG")
    values, _, _ = pictures.of_zip(pictures.zipped({"1.png": buffer.getvalue(), "2.png": buffer.getvalue()}), 28, True, 5)
    assert (values == np.array([9, 99, 200]).reshape(1, 3, 1, 1)).all()
    with pytest.raises(UserError):
        pictures.open_picture(buffer.getvalue()[:40])


@pytest.mark.parametrize("way", [9, 93, 99])
def test_an_entry_packed_in_a_way_that_is_not_known_spoils_nothing(way):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/odd.jpg", b"whatever")
        archive.writestr("a/noted.jpg", photo())
    content = bytearray(out.getvalue())
    for start, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.index(start) + at
        content[place : place + 2] = way.to_bytes(2, "little")
    kept = zipfile.ZipFile(io.BytesIO(pictures.without_notes(bytes(content))))
    assert kept.namelist() == ["a/odd.jpg", "a/noted.jpg"] and kept.read("a/odd.jpg") == b""
    assert b"Exif" not in kept.read("a/noted.jpg") and kept.read("a/noted.jpg")


def test_damage_in_any_part_of_a_picture_is_a_sentence():
    heic = bytearray(photo(format="HEIF"))
    palette = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("P").save(palette, "PNG", transparency=bytes(300))
    random = np.random.default_rng(0)
    for content in (heic, bytearray(palette.getvalue())):
        for _ in range(150):
            broken = bytearray(content)
            broken[random.integers(12, len(broken))] = random.integers(256)
            try:
                pictures.without_notes(pictures.zipped({"a/1": bytes(broken)}))
                assert pictures.open_picture(bytes(broken))[0].mode == "RGB"
            except UserError as error:
                assert "cut off" in str(error) or "too large" in str(error)


def test_a_still_with_a_second_view_is_no_animation():
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "MPO", save_all=True, append_images=[Image.fromarray(PIXELS)])
    assert pictures.open_picture(buffer.getvalue())[1] == []


def test_small_jpegs_do_not_swell_when_their_notes_are_taken_away():
    content = photo(quality=75)
    assert len(pictures.without_notes(content)) < 2.5 * len(content)
