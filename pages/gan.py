"""GAN: data, settings, train, use, roles, look inside, how it works."""

import dataclasses

import streamlit as st

from core import source
from core.gan.config import GanConfig
from core.gan.data import Samples
from core.runs import store
from ui import explain, gan_inside, gan_play, gan_views
from ui.blocks import run_blocks
from ui.config_form import config_form
from ui.gan_data import PREFIX, data_block
from ui.run_panel import begin_now, run_head, run_panel
from ui.session import current_run, guarded, look, show_message, warm_up
from ui.words import say_error

EXAMPLE = "example-gan-ring8"
SHIPPED = {"ring8": "example-gan-ring8", "fashion": "example-gan-fashion"}  # dataset -> the run whose weights come with Manabi
METRICS = source.constant("core.gan.train", "METRICS")


def setup(samples: Samples | None) -> None:
    """Settings and the start buttons. A fragment: a slider reruns this alone."""
    st.header("Settings", divider="gray")
    config = config_form(GanConfig, PREFIX)
    if config and samples and config.conditional and samples.labels is None:
        say_error("Class-conditional networks need classes, and this dataset has none. Switch the setting off.")
        config = None
    st.header("Train", divider="gray")
    with st.container(horizontal=True):
        train = st.button("Train", type="primary", icon=":material/play_arrow:", disabled=not (samples and config))
        shipped = SHIPPED.get(samples.builtin, "") if samples else ""
        warm = shipped and st.button(
            "Go on from shipped weights",
            icon=":material/fork_right:",
            disabled=not config,
            help="Start from the networks that come with Manabi for this dataset; layers, widths and noise are set to theirs.",
        )
    if samples and config and train:
        begin_now(PREFIX, [config], samples)
    if samples and config and warm:
        shape = ("g_layers", "g_width", "d_layers", "d_width", "latent_dim", "noise", "conditional", "packing", "spectral_norm")
        theirs = {name: store.read(shipped).config[name] for name in shape}
        begin_now(PREFIX, [config.updated(theirs)], dataclasses.replace(samples, start=gan_views.weights_of(shipped)))


@guarded
def again(run_id: str) -> None:
    """The same settings, data and seed once more, beside the first."""
    run = look(run_id)
    gan_views.start_beside(run, GanConfig.model_validate(run.config), gan_views.samples_of(run_id).start)


st.title("GAN", icon=":material/swords:")
st.markdown("A generator makes samples out of noise, a discriminator tells them from real ones. Each learns from the other.")
run = current_run(PREFIX)
warm_up()
show_message()

st.header("Data", divider="gray")
samples = data_block()
st.fragment(setup)(samples)
if not run:
    st.info(
        "Nothing of yours is open. These are finished examples: a ring of eight clusters, the same game collapsed, and clothes.",
        icon=":material/lightbulb:",
    )
shown = run or store.read(EXAMPLE)
family = [shown] + [look(mate) for mate in shown.mates if store.exists(mate)]
run_head(family, GanConfig, PREFIX, again=again)
beside = family if not store.is_example(shown.id) else [shown]


def live(current: store.Run, curves: dict) -> None:
    """The live figures of a run, and of those beside it."""
    gan_views.live(current, curves)
    if len(beside) > 1:
        gan_views.race(beside)


run_panel(beside, live, key=f"panel_{shown.id[-12:]}", plain_wish=gan_views.whole_rounds)
gan_views.remedies(shown)
explain.curves(METRICS | {f"quality/{name}": text for name, text in gan_views.MEASURES.items()})
if shown.result == "ready":
    gan_views.verdict(shown)
with st.expander("Replay the whole fight", icon=":material/history:", on_change="rerun") as scrubber:
    if scrubber.open:
        st.fragment(gan_views.history)(shown)


def how() -> None:
    """The lesson, and the code that ran."""
    explain.readme("gan")
    explain.settings_table(GanConfig)
    explain.show_code("core.gan.models", "Generator")
    explain.show_code("core.gan.models", "Discriminator")
    explain.show_code("core.gan.objectives", "OBJECTIVES", label="The objectives that are played")
    explain.show_code("core.gan.train", "train", label="The training loop that ran")


run_blocks(shown, PREFIX, {"Use": gan_play.use, "Play a role": gan_play.roles, "Look inside": gan_inside.inside}, how)
