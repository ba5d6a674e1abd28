"""Maps and the environment: formats, dynamics, Gymnasium's rules, and everything that is no map."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.gridworld import editor, maps
from core.gridworld.env import Task, World, builtin, load, save, world_of
from core.gridworld.maps import BUILTIN, DOWN, LEFT, RIGHT, UP, GridMap, from_code, maze, parse, read_map

THEIRS_TO_OURS = {0: UP, 1: RIGHT, 2: DOWN, 3: LEFT}  # CliffWalking numbers its actions otherwise


def world(*rows, **rules):
    return World(read_map({"rows": rows, **rules}))


def moved(world, place, action, held=0):
    """Where a sure move leads: place, things carried, reward, end."""
    state = held * world.cells + place[0] * world.map.width + place[1]
    k = int(world.tables.chance[state, action].argmax())
    after = int(world.tables.next[state, action, k])
    return world.place(after), world.carried(after), float(world.tables.reward[state, action, k]), bool(world.tables.done[state, action, k])


# the same dynamics as Gymnasium's


@pytest.mark.parametrize(("ours", "theirs"), [("frozen4", "4x4"), ("frozen8", "8x8")])
def test_the_transition_table_of_frozen_lake_is_gymnasiums(ours, theirs):
    table = gymnasium.make("FrozenLake-v1", map_name=theirs).unwrapped.P
    mine = gymnasium.make("Manabi/Gridworld-v0", map=ours).unwrapped
    for state, actions in table.items():
        for action, outcomes in actions.items():
            if mine.world.terminal[state]:
                assert all(done and reward == 0 for _, _, reward, done in mine.P[state][action])
            else:
                assert np.allclose(mine.P[state][action], np.array(outcomes, np.float64))
    assert mine.world.map.horizon == gymnasium.spec("FrozenLake-v1" if theirs == "4x4" else "FrozenLake8x8-v1").max_episode_steps


def test_the_transition_table_of_cliff_walking_is_gymnasiums():
    table = gymnasium.make("CliffWalking-v1").unwrapped.P
    mine = gymnasium.make("Manabi/Gridworld-v0", map="cliff").unwrapped
    for state in range(37):  # beyond lie the cliff and the goal, on which nobody acts
        for theirs, action in THEIRS_TO_OURS.items():
            assert mine.P[state][action] == [(float(p), int(s), float(r), bool(d)) for p, s, r, d in table[state][theirs]]


@pytest.mark.parametrize("name", BUILTIN)
def test_every_built_in_map_is_a_proper_environment(name):
    check_env(gymnasium.make("Manabi/Gridworld-v0", map=name).unwrapped, skip_render_check=name != "keys")


def test_it_renders_and_runs_many_at_once():
    env = gymnasium.make("Manabi/Gridworld-v0", map="taxi", render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and picture.std() > 10
    text = gymnasium.make("Manabi/Gridworld-v0", map="S.\n.G", render_mode="ansi")
    text.reset()
    assert text.render() == "[S].\n.G\n"
    many = gymnasium.make_vec("Manabi/Gridworld-v0", num_envs=3, map="cliff")
    many.reset(seed=1)
    states, rewards, *_ = many.step(np.array([UP, UP, UP]))
    assert states.tolist() == [24, 24, 24] and rewards.tolist() == [-1, -1, -1]


def test_the_snippet_of_the_readme_runs():
    text = (maps.__file__.rsplit("/", 1)[0]) + "/README.md"
    with open(text, encoding="utf-8") as file:
        code = file.read().split("```python\n")[1].split("```")[0]
    found: dict = {}
    exec(code, found)
    assert found["state"] == 1 and found["reward"] == 0 and found["info"]["place"] == (0, 1)


def test_an_episode_is_cut_off_at_the_horizon():
    env = gymnasium.make("Manabi/Gridworld-v0", map=json.dumps({"rows": ["S.", ".G"], "horizon": 2}))
    env.reset(seed=0)
    assert env.step(LEFT)[2:4] == (False, False)
    assert env.step(LEFT)[2:4] == (False, True)


# the kinds of cells


def test_walls_edges_pits_and_goals():
    w = world("S#.", "HG.", goal_reward=2.0, pit_reward=-3.0, step_reward=-0.5)
    assert moved(w, (0, 0), RIGHT) == ((0, 0), "", -0.5, False)
    assert moved(w, (0, 0), UP) == ((0, 0), "", -0.5, False)
    assert moved(w, (0, 0), DOWN) == ((1, 0), "", -3.5, True)
    assert moved(w, (1, 2), LEFT) == ((1, 1), "", 1.5, True)


def test_a_cliff_costs_and_leads_back_to_the_start():
    w = world("...", "SCG", cliff_reward=-7.0, step_reward=-1.0)
    assert moved(w, (0, 1), DOWN) == ((1, 0), "", -7.0, False)


def test_wind_blows_upwards_but_not_through_walls():
    w = world("...", ".#.", "S.G", wind=(0, 1, 2))
    assert moved(w, (2, 1), RIGHT)[0] == (1, 2)  # by the wind of the column it leaves
    assert moved(w, (2, 1), UP)[0] == (2, 1)
    assert moved(w, (1, 2), UP)[0] == (0, 2)
    assert moved(w, (2, 0), RIGHT)[0] == (2, 1)


def test_one_way_cells_let_through_one_way_only():
    w = world("S>.", "..G")
    assert moved(w, (0, 0), RIGHT)[0] == (0, 1)
    assert moved(w, (0, 1), LEFT)[0] == (0, 1)
    assert moved(w, (0, 1), DOWN)[0] == (0, 1)
    assert moved(w, (0, 2), LEFT)[0] == (0, 2)


def test_a_teleport_leads_to_its_twin_and_is_not_walked_into_by_standing_still():
    w = world("S1.", "1.G")
    assert moved(w, (0, 0), RIGHT)[0] == (1, 0)
    assert moved(w, (0, 0), DOWN)[0] == (0, 1)
    assert moved(w, (1, 0), DOWN)[0] == (1, 0)


def test_a_door_opens_with_its_key_only():
    w = world("SaA", "..G")
    assert moved(w, (0, 0), RIGHT) == ((0, 1), "a", 0.0, False)
    assert moved(w, (0, 1), RIGHT, held=0)[0] == (0, 1)
    assert moved(w, (0, 1), RIGHT, held=1) == ((0, 2), "a", 0.0, False)


def test_a_drop_off_is_a_goal_for_who_carries_the_parcel():
    w = world("SP", ".D", goal_reward=5.0)
    assert moved(w, (0, 1), DOWN, held=0) == ((1, 1), "", 0.0, False)
    assert moved(w, (0, 1), DOWN, held=1) == ((1, 1), "P", 5.0, True)
    assert moved(w, (0, 0), RIGHT) == ((0, 1), "P", 0.0, False)


def test_an_extra_reward_is_paid_on_entering_not_on_staying():
    w = world("S.", ".G", rewards={"0,1": 2.5})
    assert moved(w, (0, 0), RIGHT)[2] == 2.5
    assert moved(w, (0, 1), RIGHT)[2] == 0.0


def test_ice_slips_to_either_side_equally():
    w = world("SI.", "..G", slip=0.5)
    outcomes = {(int(n), float(p)) for n, p in zip(w.tables.next[1, RIGHT], w.tables.chance[1, RIGHT], strict=True)}
    assert outcomes == {(1, 0.25), (2, 0.5), (4, 0.25)}


# formats


@pytest.mark.parametrize("name", BUILTIN)
def test_a_map_survives_json_and_its_link(name):
    grid = BUILTIN[name]
    assert parse(grid.json_text().encode()) == grid
    assert from_code(grid.code()) == grid
    assert from_code(name) == grid
    assert len(grid.code()) < 1000


def test_frozen_lakes_own_letters_are_understood():
    grid = parse(b"SFFF\r\nFHFH\r\nFFFH\r\nHFFG\r\n")
    assert grid.rows == BUILTIN["frozen4"].rows and grid.slippery
    assert not parse(b"S..\n..G").slippery and not parse(b"SH\nHG").slippery
    assert parse(BUILTIN["frozen8"].text().encode()).rows == BUILTIN["frozen8"].rows and parse(BUILTIN["frozen8"].text().encode()).slippery


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 1000), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_every_maze_can_be_solved(height, width, seed, openings):
    if (height + 1) // 2 * ((width + 1) // 2) < 2:
        return  # a single room is no maze
    grid = maze(height, width, seed, openings)
    assert (grid.height, grid.width) == (height, width)
    assert world_of(grid).problem() == ""
    assert maze(height, width, seed, openings) == grid


@given(st.sampled_from(sorted(BUILTIN)), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_chances_sum_to_one_and_ends_stay(name, seed):
    w = world_of(BUILTIN[name])
    assert np.allclose(w.tables.chance.sum(-1), 1)
    assert (w.tables.next[w.terminal] == np.flatnonzero(w.terminal)[:, None, None]).all()
    states = np.random.default_rng(seed).choice(np.flatnonzero(w.acting), 50)
    after, _, done = w.draw(states, np.zeros(50, int), np.random.default_rng(seed))
    assert (w.reachable[after]).all() and (done == w.terminal[after]).all()


def test_a_task_with_a_demo_survives_its_folder(tmp_path):
    demo = np.array([[0, 2, 0, 1, 0], [1, 1, 1, 5, 1]], np.float64)
    save(Task(BUILTIN["frozen4"], demo), tmp_path)
    back = load(tmp_path)
    assert back.map == BUILTIN["frozen4"] and (back.demo == demo).all()
    np.save(tmp_path / "demo.npy", demo * 1000)
    with pytest.raises(UserError, match="do not fit"):
        load(tmp_path)
    (tmp_path / "map.json").write_text("{}")
    with pytest.raises(UserError):
        load(tmp_path)


def test_mazes_have_names_on_the_command_line():
    assert builtin("maze-7x9-3").map == maze(7, 9, 3)
    with pytest.raises(UserError, match="no built-in map"):
        builtin("nothing")


# what is no map


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"..\n.G", "no start"),
        (b"S.\n..", "no goal"),
        (b"S..\n.G", "Row 2 has 2 cells and row 1 has 3"),
        (b"S.\nxG", "'x' is no kind of cell"),
        (b"S\nG", "2 by 1 cells"),
        (b"S.1\n..G", "exactly one twin"),
        (b"SA\n.G", "no key a"),
        (b"S.\n.D", "put a P"),
        (b"\xff\xfe\x00\x01", "not plain text"),
        ("Sい\nろG".encode("cp932"), "not plain text"),
        (b"\n".join([b"S" + b"." * 999] * 1000), "1,000 lines of up to 1,000 signs"),
        (b"\n".join([b"." * 40] * 40), "40 by 40 cells"),
        (b"{" * 50_000, "damaged"),
        (b'{"rows": ' + b"[" * 40_000 + b"]" * 40_000 + b"}", "damaged"),
        (b'{"rows": 5}', "rows"),
        (b"[1, 2]", "an object with the field"),
        (b'{"rows": ["S.", ".G"], "rewards": {"0,1": 1e300}}', "too large"),
        (b'{"rows": ["S.", ".G"], "rewards": {"0,1": NaN}}', "finite"),
        (b'{"rows": ["S.", ".G"], "goal_reward": 1e300}', "goal_reward"),
        (b'{"rows": ["S.", ".G"], "rewards": {"9,9": 1}}', "no cell of this map"),
        (b'{"rows": ["S.", ".G"], "rewards": {"00,1": 1}}', "no cell of this map"),
        (b'{"rows": ["S.", ".G"], "horizon": 0}', "horizon"),
        (b'{"rows": ["S.", ".G"], "wind": [1]}', "one number of 0 to 30 for each of the 2 columns"),
        (b'{"rows": ["S.", ".G"], "spell": 1}', "spell"),
    ],
)
def test_what_is_no_map_gets_a_sentence(content, sentence):
    with pytest.raises(UserError, match=sentence):
        parse(content)


def test_a_goal_walled_off_and_nothing_but_pits_are_told():
    assert "cannot be reached" in world("S#.", "##G").problem()
    assert "cannot be reached" in world("SHH", "HHG").problem()
    assert world("S.", ".G").problem() == ""


@pytest.mark.parametrize("code", ["!!", "abc", "eJw", "x" * 10_000])
def test_a_broken_link_is_told(code):
    with pytest.raises(UserError, match="can't be read"):
        from_code(code)


# editing


def test_a_brush_paints_and_moves_what_there_is_one_of():
    draft = editor.draft_of(GridMap(rows=("S..", "..G")))
    assert editor.painted(draft, [1, 4], "#")["rows"] == ["S#.", ".#G"]
    assert editor.painted(draft, [2], "S")["rows"] == ["..S", "..G"]
    twice = editor.painted(editor.painted(draft, [1], "1"), [3], "1")
    assert editor.painted(twice, [4], "1")["rows"] == ["S..", "11G"]
    assert editor.painted(draft, [99, -1], "#")["rows"] == draft["rows"]
    paid = editor.painted(draft, [1], editor.REWARD, 0.5)
    assert paid["rewards"] == {"0,1": 0.5} and editor.painted(paid, [1], editor.REWARD, 0.0)["rewards"] == {}


def test_a_draft_without_a_start_is_no_map_yet():
    draft = editor.painted(editor.draft_of(GridMap(rows=("S.", ".G"))), [0], "#")
    assert "no start" in editor.problem(draft)
    assert editor.problem(editor.painted(draft, [1], "S")) == ""


def test_resizing_keeps_what_fits():
    grid = BUILTIN["windy"].changed(rewards={"0,9": 1.0, "6,0": 2.0})
    draft = editor.draft_of(grid)
    small = read_map(editor.resized(draft, 7, 8))
    assert small.width == 8 and len(small.wind) == 8 and small.rewards == {"6,0": 2.0}
    assert editor.resized(draft, 9, 12)["rows"][8] == "." * 12
    assert "31 by 10" in editor.problem(editor.resized(draft, 31, 10))


def test_wind_is_read_from_numbers():
    assert editor.wind_of("0, 1 2", 4) == [0, 1, 2, 0] and editor.wind_of("", 4) == []
    for text in ("strong", "²", "-1", "1 1 1 1 1"):
        with pytest.raises(UserError, match="whole numbers"):
            editor.wind_of(text, 4)
