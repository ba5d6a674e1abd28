"""Pictures side by side, and maps as colours: arrays -> PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

FILM_BEAT, FILM_REST = 700, 3000  # ms that a picture of a film stays, and the last one


def sheet(pictures: np.ndarray, columns: int = 8, gap: int = 1) -> Image.Image:
    """Pictures (n, colours, size, size) uint8 side by side, on a quiet ground."""
    count, colours, size, _ = pictures.shape
    rows = -(-count // columns)
    pixel = np.full((rows * (size + gap) - gap, columns * (size + gap) - gap, 3), 138, np.uint8)
    for n, picture in enumerate(pictures):
        top, left = n // columns * (size + gap), n % columns * (size + gap)
        pixel[top : top + size, left : left + size] = picture.transpose(1, 2, 0) if colours == 3 else picture[0][..., None]
    return Image.fromarray(pixel)


def png(picture: Image.Image, zoom: int = 1) -> bytes:
    """A picture as PNG, each pixel `zoom` times as large."""
    buffer = io.BytesIO()
    picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def film(pictures: Sequence[Image.Image]) -> bytes:
    """Grey pictures one after the other as a GIF that plays three times and ends with the last."""
    buffer = io.BytesIO()
    first, *others = (picture.convert("L") for picture in pictures)
    times = [FILM_BEAT] * len(others) + [FILM_REST]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=times, loop=2)  # two times more
    return buffer.getvalue()


def thin(pictures: np.ndarray, most: int) -> np.ndarray:
    """Large pictures (n, colours, size, size) made small for a sheet: every so many pixels, about `most` a side."""
    step = max(1, pictures.shape[2] // most)
    return pictures[:, :, ::step, ::step]


def grey(maps: np.ndarray) -> np.ndarray:
    """Maps of any range (n, h, w) as grey pictures, each from its darkest to its lightest.  # (n, 1, h, w) uint8"""
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (255 * (maps - low) / np.maximum(high - low, 1e-9)).astype(np.uint8)[:, None]


def signed(maps: np.ndarray) -> np.ndarray:
    """Numbers (n, h, w) as colours: blue below zero, orange above, white at zero.  # (n, 3, h, w) uint8"""
    share = maps / max(1e-9, float(np.abs(maps).max()))
    up, down = np.clip(share, 0, 1)[:, None], np.clip(-share, 0, 1)[:, None]
    orange, blue = np.array([230, 97, 1]).reshape(1, 3, 1, 1), np.array([33, 102, 172]).reshape(1, 3, 1, 1)
    return np.clip(255 - up * (255 - orange) - down * (255 - blue), 0, 255).astype(np.uint8)


def overlaid(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture (c, h, w) uint8 in grey with a map (h, w) over it in orange; blue where the map is negative.  # (3, h, w) uint8"""
    base = np.repeat(picture.mean(0, keepdims=True), 3, 0)
    strength = np.abs(heat) / max(1e-9, float(np.quantile(np.abs(heat), 0.995)))
    strength = np.clip(strength, 0, 1)[None]
    color = np.where(heat[None] >= 0, np.array([255, 120, 0]).reshape(3, 1, 1), np.array([40, 120, 255]).reshape(3, 1, 1))
    return (base * (1 - 0.75 * strength) + color * 0.75 * strength).astype(np.uint8)
