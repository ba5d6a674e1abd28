"""Maps as pictures: for Gymnasium's `render` and for animations. Drawn with Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from core.gridworld.env import World

FILL = {"#": "#5b6472", "G": "#1fa67a", "D": "#1fa67a", "H": "#1c2733", "C": "#8b3a2e", "I": "#cfe8f7", "S": "#f3e2b8"}
FLOOR, ICE, LINE, AGENT, INK = "#f4f5f7", "#cfe8f7", "#c3c9d2", "#e4712a", "#1c2733"
SLOW = 250  # ms a frame


def picture(world: World, state: int | None = None, *, trail: Sequence[int] = (), side: int = 0) -> Image.Image:
    """The map, the way come and the agent.  # side: pixels a cell, chosen by the size of the map if 0"""
    side = side or max(12, min(48, 640 // max(world.map.height, world.map.width)))
    image = Image.new("RGB", (world.map.width * side, world.map.height * side), FLOOR)
    pen = ImageDraw.Draw(image)
    held = world.carried(state) if state is not None else ""
    for row, letters in enumerate(world.map.rows):
        for column, letter in enumerate(letters):
            box = (column * side, row * side, (column + 1) * side - 1, (row + 1) * side - 1)
            floor = ICE if world.map.slippery and letter in ".S" else FLOOR
            pen.rectangle(box, fill=FILL.get(letter, floor), outline=LINE)
            if letter not in ".#HC" and letter not in held:
                pen.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), letter, fill=INK, anchor="mm", font_size=side * 0.5)
    middle = [(column * side + side / 2, row * side + side / 2) for row, column in (world.place(s) for s in trail)]
    if len(middle) > 1:
        pen.line(middle, fill=AGENT, width=max(1, side // 12))
    if state is not None:
        row, column = world.place(state)
        pen.ellipse(
            (column * side + side * 0.2, row * side + side * 0.2, column * side + side * 0.8, row * side + side * 0.8),
            fill=AGENT,
            outline=INK,
        )
    return image


def animation(world: World, states: Sequence[int], most: int = 200) -> bytes:
    """An episode as an animated GIF, a frame a move; a long one is cut off."""
    shown = list(states[: most + 1])
    frames = [picture(world, state, trail=shown[: n + 1]).quantize(32) for n, state in enumerate(shown)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=[SLOW] * (len(frames) - 1) + [4 * SLOW], loop=0)
    return buffer.getvalue()


def array(world: World, state: int) -> np.ndarray:
    """`picture` as numbers.  # (height, width, 3) uint8"""
    return np.asarray(picture(world, state))
