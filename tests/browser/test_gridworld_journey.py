"""The gridworld page in a real Chromium: paint, train, step, ask why, change the map, race, play, bring maps."""

import json
import re

import pytest

from core.gridworld import maps
from tests.browser.test_journeys import choose, expect_status, press

pytestmark = pytest.mark.browser


def board_at(page, mode, n=0):
    """A board of the page, once it is drawn."""
    found = page.locator(f".board[data-mode={mode}]").nth(n)
    found.locator("[data-cell='0']").wait_for(state="attached")
    found.scroll_into_view_if_needed()
    return found


def spot(board, row, column, rows, columns):
    """Where a cell is on the screen."""
    box = board.bounding_box()
    return box["x"] + (column + 0.5) * box["width"] / columns, box["y"] + (row + 0.5) * box["height"] / rows


def expect_cell(board, cell, kind):
    board.locator(f"[data-cell='{cell}'] rect.k{kind}").wait_for(state="attached")


def rows_of(page):
    """The map in the link."""
    code = re.search(r"gridworld_map=([^&]+)", page.url)
    return maps.from_code(code.group(1)).rows if code else ()


def expect_rows(page, *rows):
    for _ in range(100):
        if rows_of(page) == rows:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{rows_of(page)} is not {rows}")


def take_brush(page, name, letter):
    """Choose a brush; the board has it once the page has run."""
    page.get_by_text(name, exact=True).first.click()
    page.locator(f".board[data-brush='{letter}']").first.wait_for()


def start(page, button="Train"):
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_url("**gridworld_run=*")


def test_paint_with_mouse_and_keyboard(server, page):
    page.goto(f"{server.url}/gridworld?gridworld_map={maps.read_map({'rows': ['S...', '....', '...G']}).code()}")
    board = board_at(page, "edit")
    page.mouse.move(*spot(board, 1, 0, 3, 4))
    page.mouse.down()
    page.mouse.move(*spot(board, 1, 1, 3, 4))
    page.mouse.move(*spot(board, 1, 2, 3, 4))
    expect_cell(board, 6, "wall")  # at once, before the server has heard of it
    page.mouse.up()
    expect_rows(page, "S...", "###.", "...G")
    board.focus()  # the cursor stands where the pointer went down: row 2, column 1
    page.keyboard.press("ArrowDown")
    page.keyboard.press("H")
    expect_rows(page, "S...", "###.", "H..G")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect_rows(page, "S...", "###.", "H#.G")
    page.keyboard.press("Control+z")
    expect_rows(page, "S...", "###.", "H..G")
    page.get_by_role("button", name="Undo").click()
    expect_rows(page, "S...", "###.", "...G")
    take_brush(page, "Start", "S")
    page.mouse.click(*spot(board_at(page, "edit"), 0, 3, 3, 4))
    expect_rows(page, "...S", "###.", "...G")
    take_brush(page, "Wall", "#")
    page.mouse.click(*spot(board_at(page, "edit"), 0, 3, 3, 4))
    page.get_by_text("no start").wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_disabled()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("What can be earned").wait_for()
    page.get_by_role("button", name="Size and rules").click()
    page.get_by_role("spinbutton", name="Rows").last.fill("4")
    page.get_by_role("button", name="Apply").click()
    expect_rows(page, "...S", "###.", "...G", "....")
    link = page.url
    page.reload()
    expect_cell(board_at(page, "edit"), 4, "wall")
    assert page.url.split("gridworld_map=")[1][:40] == link.split("gridworld_map=")[1][:40]
    assert page.errors == []


def test_step_by_step_ask_why_and_change_the_map_while_it_learns(server, page):
    grid = maps.read_map({"rows": ["S...", "....", "...G"], "step_reward": -0.01})
    page.goto(f"{server.url}/gridworld?gridworld_map={grid.code()}&gridworld_steps=1000000&gridworld_seeds=2&gridworld_epsilon=0.3")
    page.get_by_text("What can be earned").wait_for()
    start(page)
    expect_status(page, "Training")
    press(page, "Step a move", "Paused")
    page.get_by_text("In numbers, at").wait_for()
    page.get_by_role("button", name="Step an episode").click()
    expect_status(page, "Paused")
    board = board_at(page, "look")
    page.mouse.click(*spot(board, 0, 0, 3, 4))
    page.get_by_text(re.compile(r"Why (left|down|right|up)\?")).wait_for()
    press(page, "Resume", "Training")
    walking = page.locator(".board[data-mode=look]").first.locator("xpath=self::*[@data-at]")
    walking.wait_for(state="detached")
    press(page, "Play moves", walking)  # five moves a second: it can't come to its end while its map is changed
    page.get_by_text("Change the map while it learns").click()
    board = board_at(page, "edit", 1)
    page.mouse.click(*spot(board, 2, 2, 3, 4))
    expect_cell(board_at(page, "edit", 1), 10, "wall")
    page.wait_for_timeout(1500)
    expect_cell(board_at(page, "edit", 1), 10, "wall")  # it stays through the updates
    page.get_by_text("Change the map while it learns").click()
    board_at(page, "look").locator("[data-cell='11']").click()  # waits until the page, shorter now, stands still
    page.get_by_text("No choice is made on this cell").wait_for()
    press(page, "Stop", "Stopped")
    page.get_by_text(re.compile("The greedy policy earns .* possible")).first.wait_for()
    page.get_by_role("button", name="Resume", exact=True).click()  # at full speed: a million moves take a moment
    expect_status(page, "Finished")
    expect_cell(board_at(page, "look"), 10, "wall")
    assert page.errors == []


def test_race_look_inside_play_and_take_away(server, page):
    page.goto(f"{server.url}/gridworld?gridworld_map=cliff&gridworld_method=DQN&gridworld_steps=2500&gridworld_seeds=1")
    page.get_by_text("What can be earned").wait_for()
    rivals = page.get_by_role("combobox", name="Race against")
    rivals.click()
    rivals.fill("expected")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Race", exact=True).wait_for()  # the form has run again: a list opened before would close
    choose(page, "Pace at first", "At once")
    start(page, "Race")
    expect_status(page, "Finished")
    page.get_by_text(re.compile("The greedy policy earns .* of -13 possible")).first.wait_for()
    page.get_by_text("Regret, less is better").first.wait_for()
    page.get_by_text("Replay the whole learning").click()
    page.get_by_text("Values and policy after move 2,500").wait_for()
    page.get_by_role("radio", name="Look inside").click()
    page.get_by_text("A network beside a table (expected SARSA)").wait_for()
    page.get_by_text("Moves in the buffer by state").first.wait_for()

    page.get_by_role("radio", name="You play").click()
    play = board_at(page, "play")
    play.focus()
    for n, key in enumerate(["ArrowUp", *["ArrowRight"] * 11, "ArrowDown"], 1):
        page.keyboard.press(key)
        page.get_by_test_id("stMetricValue").filter(has_text=re.compile(f"^-{n}$")).first.wait_for()
    page.get_by_text("No policy earns more on average").wait_for()
    page.get_by_role("button", name="Lend these moves to DQN").click()
    page.get_by_text("13 moves are lent").wait_for()

    page.get_by_role("radio", name="Use").click()
    page.get_by_role("button", name="Prepare policy and animation").click()
    with page.expect_download() as policy:
        page.get_by_role("button", name="Policy, JSON").click()
    assert len(json.loads(policy.value.path().read_text())["policy"]) == 37
    page.get_by_role("button", name="Animation, GIF").wait_for()
    assert page.errors == []


def test_maps_of_ones_own_and_bad_files(server, page):
    page.goto(f"{server.url}/gridworld")
    page.get_by_role("button", name="Bring or save").click()
    bad = {
        "empty.txt": (b"", "empty"),
        "ragged.txt": (b"S..\n.G", "Row 2 has 2 cells"),
        "letters.txt": ("Sい\n.G".encode("cp932"), "not plain text"),
        "huge.txt": (b"S" + b"." * 2_000_000, "This is no map"),
        "bomb.json": (b'{"rows": ' + b"[" * 20_000, "damaged"),
        "many.json": (b'{"rows": ["S.", ".G"], "rewards": {"0,1": 1e300}}', "too large"),
    }
    for name, (content, words) in bad.items():
        page.get_by_text("At most 50 MB").wait_for()
        page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "text/plain", "buffer": content})
        page.get_by_text(words).first.wait_for()
        page.get_by_role("button", name="Bring another file").click()
    page.get_by_text("At most 50 MB").wait_for()
    page.locator("input[type=file]").first.set_input_files({"name": "lake.txt", "mimeType": "text/plain", "buffer": b"SFFF\nFHFF\nFFFG\n"})
    page.get_by_role("button", name="Use this map").click()
    expect_rows(page, "S...", ".H..", "...G")
    page.keyboard.press("Escape")
    page.get_by_text("What can be earned").wait_for()
    assert page.errors == []
