"""Train, explain, fix: labels that the network does not believe, corrected by hand; training goes on; what changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.image.config import ImageConfig
from core.image.data import Pictures, most
from core.runs import store
from ui.image_views import OWN, PREDICT, data_of, strip
from ui.maps import url
from ui.run_panel import begin
from ui.session import cached_call, get_engine, guarded, run_stamp
from ui.sheets import png, sheet, thin

AWAY = "(take away)"
SECONDS = 60.0


def possible(run: store.Run) -> bool:
    """Whether the pictures of a run are here, and not too many to be kept with their corrections."""
    values = data_of(run.id).values
    return 0 < len(values) <= most(values.shape[2])


def fix(run: store.Run) -> None:
    """The pictures whose label is believed least, to correct; then a run that begins with this one's weights."""
    found = cached_call(PREDICT, "suspects", stamp=run_stamp(run), run_id=run.id, seconds=SECONDS)
    if found is None:
        return
    classes = data_of(run.id).classes
    st.caption(
        "These labels the network believes least. Some will be wrong, others only hard. Correct what is wrong, or take the picture away; "
        "then train on from these weights, and see what changed."
    )
    rows = pd.DataFrame(
        {
            "picture": [_small(picture) for picture in found["pictures"]],
            "label": [classes[n] for n in found["label"]],
            "the network says": [classes[n] for n in found["said"]],
            "chance of the label": found["chance"].astype(float),
            "part": np.where(found["known"], "learned from", "held out"),
        }
    )
    key = run.id[-12:]
    edited = st.data_editor(
        rows,
        key=f"fix_{key}",
        hide_index=True,
        height=360,
        row_height=56,
        disabled=["picture", "the network says", "chance of the label", "part"],
        column_config={
            "picture": st.column_config.ImageColumn("picture"),
            "label": st.column_config.SelectboxColumn("label", options=[*classes, AWAY], required=True),
            "chance of the label": st.column_config.ProgressColumn("chance of the label", min_value=0, max_value=1, format="percent"),
        },
    )
    moved = np.flatnonzero((edited["label"] != rows["label"]).to_numpy())
    changes = {str(found["rows"][n]): "" if edited["label"][n] == AWAY else str(edited["label"][n]) for n in moved}
    words = f"Train on with {len(changes)} correction{'' if len(changes) == 1 else 's'}"
    if st.button(words, key=f"fix_go_{key}", type="primary", icon=":material/healing:", disabled=not changes):
        _train_on(run.id, changes)
        st.rerun()  # the whole page: this block is a fragment of it


def _small(picture: np.ndarray) -> str:
    return url(png(sheet(thin(picture[None], 64), 1), max(1, 48 // picture.shape[1])))


@guarded
def _train_on(run_id: str, changes: dict[str, str]) -> None:
    run = store.read(run_id)
    data: Pictures = get_engine().call(OWN, "corrected", seconds=SECONDS, run_id=run_id, changes=changes)
    config = ImageConfig.model_validate(run.config).updated({"warm": run_id})
    begin("image", [config], data, named=run.data, beside=[run_id])


def changed(run: store.Run) -> None:
    """What a run that went on from another does better and worse than that one."""
    if not store.exists(run.config["warm"]):
        st.caption("The run that it went on from is gone, so what changed can't be shown.")
        return
    found = cached_call(PREDICT, "changed", stamp=run_stamp(run), run_id=run.id, seconds=SECONDS)
    if found is None:
        return
    if found["before"] is None:
        st.caption("No picture was held out, so what changed can't be said.")
        return
    st.markdown(
        f"**What changed:** on the pictures held out, the run that it went on from names {found['before']:.1%} rightly, this one "
        f"{found['after']:.1%}; {found['mended']} mended, {found['spoiled']} spoiled."
    )
    st.caption(
        f"The difference comes from the further {run.step:,} step{'s' * (run.step != 1)} of training as well as from labels that were "
        "corrected or pictures that were added."
    )
    for name, words in (("mended", "Now right"), ("spoiled", "No longer right")):
        pictures = found[f"{name}_pictures"]
        if len(pictures):
            strip(pictures, words)
