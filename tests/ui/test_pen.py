"""What comes from the square to draw on is untrusted."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ui import pen


def url(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return pen.BEGINS + base64.b64encode(buffer.getvalue()).decode()


def test_ink_comes_back_as_it_was_drawn():
    drawn = np.zeros((140, 140), np.uint8)
    drawn[20:120, 60:80] = 255
    assert (pen.ink_of(pen.heard(url(drawn))) == drawn).all()
    assert (pen.ink_of(url(np.dstack([drawn] * 3))) == drawn).all()


@pytest.mark.parametrize(
    "told",
    [
        None,
        5,
        b"bytes",
        ["list"],
        "",
        "http://elsewhere/a.png",
        "data:image/svg+xml;base64,AAAA",
        pen.BEGINS + "not base 64!",
        pen.BEGINS + "AAAA",
        pen.BEGINS + "A" * pen.MOST,
        url(np.zeros((140, 140), np.uint8)),  # no ink
        url(np.full((2, 4000), 255, np.uint8)),  # larger than the square
        url(np.full((140, 140), 255, np.uint8))[:-40],  # cut off
    ],
)
def test_anything_else_is_nothing(told):
    assert pen.ink_of(pen.heard(told)) is None
