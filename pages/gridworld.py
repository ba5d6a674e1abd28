"""Reinforcement learning in a gridworld: map, settings, learn, use, play, look inside, how it works."""

import streamlit as st

from core import source
from core.gridworld.config import LEARNERS, PLANNERS, GridworldConfig
from core.gridworld.env import Task
from core.gridworld.rules import RULES
from core.runs import store
from ui import explain, gridworld_inside, gridworld_play, gridworld_race, gridworld_views
from ui.blocks import run_blocks
from ui.config_form import config_form
from ui.gridworld_data import PREFIX, answer_key, choose, data_block, preset_taken
from ui.run_panel import begin, begin_now, run_head, run_panel
from ui.session import current_run, guarded, look, show_message, warm_up
from ui.words import plain

EXAMPLE = "example-gridworld-frozenlake"
METRICS = source.constant("core.gridworld.train", "METRICS")
METHODS = {  # where the code of each method is
    "Dynamic programming": ("dynamic_programming", ("value_sweep", "evaluation_sweep", "improved")),
    "Monte Carlo": ("monte_carlo", ("monte_carlo",)),
    "SARSA": ("sarsa", ("sarsa", "expected_sarsa")),
    "Q-learning": ("q_learning", ("q_learning", "double_q_learning")),
    "n-step and lambda": ("traces", ("n_step_sarsa", "sarsa_lambda")),
    "Dyna": ("dyna", ("dyna_q", "prioritised_sweeping")),
    "REINFORCE": ("reinforce", ("Reinforce",)),
    "A2C": ("actor_critic", ("A2C",)),
    "PPO": ("ppo", ("PPO",)),
    "DQN": ("dqn", ("DQN",)),
}


def start(task: Task, configs: list[GridworldConfig], watch: str) -> None:
    """Queue a run for each config, at the pace that was chosen, and open the first."""
    pace, speed = gridworld_views.WATCH[watch]
    begin_now(PREFIX, [config.updated({"pace": "chunks" if config.method in PLANNERS else pace}) for config in configs], task, speed=speed)


def setup(task: Task | None) -> None:
    """Settings and the start buttons. A fragment: a slider reruns this alone."""
    st.header("Settings", divider="gray")
    config = config_form(GridworldConfig, PREFIX, on_preset=preset_taken)
    if config:
        st.latex(RULES[config.method][0])
        st.caption(RULES[config.method][1])
    if config and task and config.gamma == 1:
        key = answer_key(task.map.code(), 1.0)
        if key and key["why"]:
            st.warning(plain(key["why"]), icon=":material/functions:")
            config = None
    st.header("Train", divider="gray")
    rivals: list[str] = []
    if config and config.method in LEARNERS:
        rivals = st.multiselect(
            "Race against",
            [method for method in LEARNERS if method != config.method],
            max_selections=5,
            key=f"{PREFIX}_rivals",
            placeholder="up to five other methods",
            help="The same map, the same seeds, the same number of moves for each.",
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        watch = st.selectbox(
            "Pace at first", list(gridworld_views.WATCH), key=f"{PREFIX}_watch", width=220, help="It can be changed at any time."
        )
        train = st.button("Race" if rivals else "Train", type="primary", icon=":material/play_arrow:", disabled=not (task and config))
        if not task:
            st.caption("The map above needs mending first.")
    if task and config and train:
        start(task, [config, *gridworld_race.rivals_of(config, rivals)], str(watch))


@guarded
def again(run_id: str) -> None:
    """The same settings, map and seed once more, beside the first."""
    run = look(run_id)
    begin(PREFIX, [GridworldConfig.model_validate(run.config)], gridworld_views.task_of(run_id), named=run.data, beside=[run_id])


st.title("Gridworld", icon=":material/route:")
st.markdown("An agent on a map of yours tries, earns, and learns what each move is worth. The exact optimum is the answer key.")
run = current_run(PREFIX)
warm_up()
show_message()

st.header("Data", divider="gray")
task = data_block(gridworld_views.task_of(run.id).map if run else None)
st.fragment(setup)(task)
if not run:
    st.info("Nothing of yours is open. This is a finished example: Q-learning on FrozenLake, five agents.", icon=":material/lightbulb:")
shown = run or store.read(EXAMPLE)
family = [shown] + [look(mate) for mate in shown.mates if store.exists(mate)]
run_head(family, GridworldConfig, PREFIX, mate_name=gridworld_race.name_of, again=again)
if task and task.map != gridworld_views.task_of(shown.id).map:
    st.button(
        "Edit the map of this run",
        key="take_map",
        icon=":material/map:",
        help="Bring its map up to the editor.",
        on_click=choose,
        args=(gridworld_views.task_of(shown.id).map,),
    )
beside = family if not store.is_example(shown.id) else [shown]


def live(current: store.Run, curves: dict) -> None:
    """The race with those beside it, and the live map of a run."""
    if len(beside) > 1:
        gridworld_race.race(beside)
    gridworld_views.live(current, curves)


run_panel(beside, live, key=f"panel_{shown.id[-12:]}", plain_wish=gridworld_views.full_pace)
explain.curves(METRICS)
if shown.result == "ready":
    gridworld_views.verdict(shown)
with st.expander("Replay the whole learning", icon=":material/history:", on_change="rerun") as scrubber:
    if scrubber.open:
        st.fragment(gridworld_views.history)(shown)


def how() -> None:
    """The lesson, and the code that ran."""
    explain.readme("gridworld")
    explain.settings_table(GridworldConfig)
    chosen = st.selectbox("The code of", list(METHODS), key=f"{PREFIX}_code")
    module, names = METHODS[str(chosen)]
    for name in names:
        explain.show_code(f"core.gridworld.methods.{module}", name)
    explain.show_code("core.gridworld.models", "QNetwork")
    explain.show_code("core.gridworld.train", "train", label="The training loop that ran")


doing = {"Use": gridworld_play.use, "You play": gridworld_play.play, "Look inside": gridworld_inside.inside}
run_blocks(shown, PREFIX, doing, how, without_weights=["You play"])
