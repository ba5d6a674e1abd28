"""Pictures that visitors bring, one or a zip of them. Everything is untrusted: sizes are looked at before anything is unpacked or read,
and names lead nowhere."""

from __future__ import annotations

import io
import lzma
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageOps

from core.errors import UserError

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF's orientation -> what makes a picture upright
FORMATS = ("PNG", "JPEG", "WEBP", "HEIF")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)  # ways that Python writes, too
PROJECT = "project.json"  # beside the pictures in a project file: no picture, and no problem
MOST_ENTRIES = 20_000  # files in a zip
MOST_UNPACKED = 500 * 2**20
MOST_PIXELS = 40_000_000  # of one picture
KEPT = 512  # pixels of the shorter side of a picture that is written anew
LOSSLESS = 128  # pixels a side, up to which it is written as it is: each pixel of a small picture counts
TRACES = (  # with these begins what a camera or a program notes beside the pixels, in JPEG, PNG, WebP and HEIC
    b"Exif\0\0",
    b"eXIf",
    b"EXIF",
    b"ns.adobe.com/xap",
    b"com.adobe.xmp",
    b"XMP ",
    b"Raw profile type",
    b"Photoshop 3.0",
    b"ftyp",
)
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, RuntimeError, NotImplementedError, EOFError, ValueError)


def of_zip(content: bytes, size: int, colour: bool, most: int, least: int = 2) -> tuple[np.ndarray, list[str], list[str]]:
    """Up to `most` pictures of a zip, of its folders in turn, centre-cropped to `size` pixels.

    Returns pictures (n, colours, size, size) uint8, the path of each inside the zip (for people: see `folder_of`), and what was left
    out or changed, in words. Raises `UserError` if fewer than `least` can be read.
    """
    pictures: list[np.ndarray] = []
    names: list[str] = []
    problems: dict[str, list[str]] = {}
    for name, _, picture in _pictures(content, most, problems):
        pictures.append(cropped(picture, size, colour))
        names.append(name)
    worst = sorted(problems.items(), key=lambda problem: -len(problem[1]))[:5]
    notes = [f"{len(files):,} file{'s' if len(files) > 1 else ''} ({_few(files)}): {what}." for what, files in worst]
    if len(pictures) < least:
        wanted = "at least two are needed" if least == 2 else "at least one is needed"
        raise UserError(" ".join([f"{len(pictures)} picture{'s' * (len(pictures) != 1)} can be read here; {wanted}.", *notes]))
    return np.stack(pictures), names, notes


def readable(content: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    """The files of a zip that are pictures, in the order of `of_zip`, whose first are the same for any `most`: path, bytes as they are.

    Raises `UserError` for a damaged zip.
    """
    for name, raw, _ in _pictures(content, most, {}):
        yield name, raw


def folders(content: bytes) -> Iterator[str]:
    """The folder of every file of a zip, whether it is a picture or not; nothing is unpacked. Raises `UserError` for a damaged zip."""
    for entry in _opened(content)[1]:
        yield folder_of(entry.filename)


def _opened(content: bytes) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """A zip and its files, without those that a system or a project file adds. Raises `UserError` for one that is damaged or too large."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise UserError("This zip is damaged.") from None
    if len(entries) > MOST_ENTRIES:
        raise UserError(f"This zip holds {len(entries):,} files; at most {MOST_ENTRIES:,} are taken.")
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise UserError(f"This zip unpacks to more than {MOST_UNPACKED // 2**20} MB.")
    return archive, [entry for entry in entries if not _added(PurePosixPath(entry.filename))]


def _added(path: PurePosixPath) -> bool:
    """Whether a file of a zip comes from a system (hidden files, resource forks of macOS) or is what a project file adds."""
    return path.name.startswith(".") or str(path) == PROJECT or "__MACOSX" in path.parts


def _few(files: list[str]) -> str:
    """The first names of a list, for people."""
    return ", ".join(PurePosixPath(name).name[:40] for name in files[:2]) + (", …" if len(files) > 2 else "")


def _pictures(content: bytes, most: int, problems: dict[str, list[str]]) -> Iterator[tuple[str, bytes, Image.Image]]:
    """Path, bytes and picture of up to `most` files of a zip; the names of those left out or changed are in `problems`, by what is said."""
    archive, entries = _opened(content)
    taken = 0
    for entry in _in_turn(entries):
        if taken == most:
            problems.setdefault(f"{most:,} are taken, of the folders in turn", []).append(entry.filename)
            continue
        try:
            with archive.open(entry) as file:
                raw = file.read(entry.file_size + 1)
            picture, notes = open_picture(raw)
        except UserError as error:
            problems.setdefault(str(error).rstrip("."), []).append(entry.filename)
            continue
        except DAMAGED:
            problems.setdefault("damaged or locked in the zip", []).append(entry.filename)
            continue
        for note in notes:
            problems.setdefault(note.rstrip("."), []).append(entry.filename)
        taken += 1
        yield entry.filename[:200], raw, picture


def _in_turn(entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The first file of every folder, then the second of every folder, and so on: what is cut off is cut off everywhere."""
    seen: Counter[str] = Counter()
    place = []
    for entry in entries:
        folder = folder_of(entry.filename)
        place.append(seen[folder])
        seen[folder] += 1
    return [entries[n] for n in sorted(range(len(entries)), key=place.__getitem__)]


def folder_of(name: str) -> str:
    """The folder that a file of a zip lies in, for people; "" for none."""
    parts = PurePosixPath(name).parts
    return parts[-2][:40] if len(parts) > 1 and parts[-2] not in {"..", "/"} else ""


def cropped(picture: Image.Image, size: int, colour: bool) -> np.ndarray:
    """The square in the middle of a picture.  # (3 or 1, size, size) uint8"""
    pixels = np.asarray(ImageOps.fit(picture.convert("RGB" if colour else "L"), (size, size), Image.Resampling.LANCZOS), np.uint8)
    return pixels.transpose(2, 0, 1) if colour else pixels[None]


def open_picture(content: bytes) -> tuple[Image.Image, list[str]]:
    """A picture from untrusted bytes, upright, 8 bits, on white; and what was changed, in words.

    Only PNG, JPEG, WebP and HEIC, told from the content; pixels are counted before they are read. Raises `UserError`.
    """
    if content.startswith(b"PK"):
        raise UserError("A zip inside the zip is not opened.")
    if content.startswith(b"GIF8"):
        raise UserError("GIF is not taken: bring PNG, JPEG, WebP or HEIC.")
    notes = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd notes, and of many pixels, which are counted below
            picture: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        if picture.width * picture.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":  # a still of some cameras, with a second view beside it
            notes.append("Animated: the first frame is taken.")
        picture.load()
        return _eight_bits(_upright(picture)), notes
    except Image.DecompressionBombError:
        raise UserError(f"A picture of more than {MOST_PIXELS // 10**6} million pixels is too large.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, OverflowError, RuntimeError, IndexError):
        raise UserError("Not a PNG, JPEG, WebP or HEIC picture, or cut off.") from None


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Any kind of pixel as red, green and blue of 8 bits, on white."""
    if picture.mode == "I" or picture.mode.startswith("I;16"):  # PNG of 16 bits: white is 65535
        picture = Image.fromarray((np.asarray(picture, np.float64) / 257).round().clip(0, 255).astype(np.uint8))
    if picture.mode in {"P", "PA", "LA", "RGBA", "La", "RGBa"} or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return picture.convert("RGB")


def _upright(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF says; as it is where its EXIF can't be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except (struct.error, SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, EOFError):
        return picture
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def rewritten(picture: Image.Image, lossy: bool = False) -> bytes:
    """A picture with nothing beside its pixels: a small one as PNG, others as JPEG whose shorter side has at most 512 pixels.

    lossy: it was a JPEG before: a small one becomes a fine JPEG again, for as PNG it would be five times as large.
    """
    large, small = max(picture.size), min(picture.size)
    share = min(1.0, KEPT / small, 4 * KEPT / large)
    picture = (
        picture.resize([max(1, round(share * side)) for side in picture.size], Image.Resampling.LANCZOS) if share < 1 else picture.copy()
    )
    picture.info = {}  # Pillow would write comments again
    buffer = io.BytesIO()
    if large > LOSSLESS:
        picture.save(buffer, "JPEG", quality=90)
    elif lossy:
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def suffix(content: bytes) -> str:
    """What the name of a picture ends with, told from its bytes; "" if it is none that is taken here."""
    begins = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp"}
    return next((end for begin, end in begins.items() if content.startswith(begin)), ".heic" if content[4:8] == b"ftyp" else "")


def without_notes(content: bytes) -> bytes:
    """A picture, or a zip of them, without what cameras note beside the pixels (EXIF, XMP): place, time, owner.

    Pictures with such notes are written anew, upright (`rewritten`); one that can't be opened raises `UserError`, in a zip it is emptied.
    All else stays as it is.
    """
    if not content.startswith(b"PK"):
        return _clean(content)
    try:
        archive, _ = _opened(content)
    except UserError:
        return content  # whoever reads it says what is wrong
    changed, buffer = False, io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as clean:
        warnings.simplefilter("ignore")  # two files of one name stay two
        for entry in archive.infolist():
            try:
                raw = b"" if entry.is_dir() else archive.read(entry)
            except DAMAGED:
                raw = b""
            try:
                kept = _clean(raw)
            except UserError:
                kept = b""
            changed |= kept != raw
            as_before = kept == raw and entry.compress_type in PACKED
            clean.writestr(entry.filename, kept, entry.compress_type if as_before else zipfile.ZIP_STORED)
    return buffer.getvalue() if changed else content


def _clean(content: bytes) -> bytes:
    noted = suffix(content) and any(trace in content for trace in TRACES)
    return rewritten(open_picture(content)[0], lossy=suffix(content) == ".jpg") if noted else content


def bundle(files: dict[str, bytes]) -> bytes:
    """Several files as one zip without folders, so that they are kept as one upload."""
    return zipped({PurePosixPath(name).name: content for name, content in files.items()})


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Files by path as a zip, as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()
