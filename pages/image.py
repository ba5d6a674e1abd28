"""Image recognition: data, settings, train, use, look inside, how it works."""

import streamlit as st

from core import source
from core.image.config import HEAD, ImageConfig
from core.image.data import Pictures
from core.runs import store
from ui import explain, image_fix, image_inside, image_use, image_views
from ui.blocks import run_blocks
from ui.config_form import config_form
from ui.image_data import PREFIX, data_block
from ui.run_panel import begin, begin_now, run_head, run_panel
from ui.session import current_run, guarded, look, show_message, warm_up

EXAMPLES = {
    "digits": ("example-image-digits", "a LeNet on handwritten digits"),
    "cifar10": ("example-image-cifar10", "a ResNet that learned CIFAR-10"),
    "fashion": ("example-image-fashion", "a ResNet of under 100,000 weights, which learned all of Fashion-MNIST"),
}
METRICS = source.constant("core.image.train", "METRICS")


def setup(data: Pictures | None) -> None:
    """Settings and the start button. A fragment: a slider reruns this alone."""
    st.header("Settings", divider="gray")
    config = config_form(ImageConfig, PREFIX)
    fits = bool(data and config) and image_views.suits(config, data)
    if fits and data and config and config.network != HEAD and config.augment != "none":
        with st.expander("What augmentation makes of the pictures", icon=":material/auto_awesome_motion:", on_change="rerun") as shown:
            if shown.open:
                image_views.preview(data, config.augment)
    st.header("Train", divider="gray")
    go_on = False
    if data and config and run and run.settled and image_views.same_network(run, config, data):
        help = "Its weights are the beginning: after pictures were corrected or added, that is faster than from scratch."
        go_on = st.toggle("Go on from the run that is open", key="image_go_on", help=help)
    if st.button("Train", type="primary", icon=":material/play_arrow:", disabled=not fits) and data and config:
        if go_on and run:
            config, data = config.updated({"warm": run.id}), image_views.loyal_to(run, data)
        begin_now(PREFIX, [config], data, beside=[run.id] if go_on and run else [])
    if not data:
        st.caption("First there must be pictures of at least two classes, under Data.")


@guarded
def again(run_id: str) -> None:
    """The same settings, pictures and seed once more, beside the first."""
    run = look(run_id)
    begin(PREFIX, [ImageConfig.model_validate(run.config)], image_views.data_of(run_id), named=run.data, beside=[run_id])


st.title("Image", icon=":material/image_search:")
st.markdown("Recognise a photo at once, teach a network classes of your own, and see every layer think, down to the multiply.")
run = current_run(PREFIX)
warm_up()
show_message()

with st.expander("Recognise a photo now", icon=":material/photo_camera:", expanded=not run, on_change="rerun") as now:
    if now.open:
        st.fragment(image_use.recognise)()

st.header("Data", divider="gray")
data = data_block()
st.fragment(setup)(data)
example, about = EXAMPLES.get(st.session_state.get("image_data", ""), EXAMPLES["digits"])
if not run:
    st.info(f"Nothing of yours is open. This is a finished example: {about}.", icon=":material/lightbulb:")
shown = run or store.read(example)
family = [shown] + [look(mate) for mate in shown.mates if store.exists(mate)]
run_head(family, ImageConfig, PREFIX, mate_name=lambda mate: image_views.mate_name(mate, shown), again=again)
run_panel([shown], image_views.live, key=f"panel_{shown.id[-12:]}")
explain.curves(METRICS)
if shown.result == "ready":
    image_views.verdict(shown)
    if shown.config.get("warm"):
        image_fix.changed(shown)
    if image_fix.possible(shown):
        with st.expander(
            "Correct what is labelled wrongly, and train on", icon=":material/healing:", on_change="rerun", key="image_fix"
        ) as fixing:
            if fixing.open:
                st.fragment(image_fix.fix)(shown)
with st.expander("Replay the whole training", icon=":material/history:", on_change="rerun", key="image_history") as scrubber:
    if scrubber.open:
        st.fragment(image_views.history)(shown)


def how() -> None:
    """The lesson, and the code that ran."""
    explain.readme("image")
    explain.settings_table(ImageConfig)
    for name in ("lenet", "vgg", "resnet", "resnet_early", "Residual", "whole"):
        explain.show_code("core.image.models", name)
    explain.show_code("core.image.muon", "Muon")
    for name in ("grad_cam", "integrated_gradients"):
        explain.show_code("core.image.explain", name)
    explain.show_code("core.image.train", "train", label="The training loop that ran")


drawing = {"Draw": image_use.draw} if image_views.data_of(shown.id).shape[0] == 1 else {}  # it is for grey pictures
run_blocks(shown, PREFIX, drawing | {"Use": image_use.use, "Look inside": image_inside.inside}, how)
