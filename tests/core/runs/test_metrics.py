import json

import numpy as np

from core.runs.metrics import MetricsReader, cut_after, thin


def write(path, rows):
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_only_whole_rows_are_read_and_only_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    reader = MetricsReader(path)
    assert reader.read() == {}
    write(path, [{"step": 1, "train/loss": 2.0}, {"step": 2, "train/loss": 1.0, "val/loss": 3.0}])
    with path.open("a") as file:
        file.write('{"step": 3, "train')
    curves = reader.read()
    assert curves["train/loss"][0].tolist() == [1, 2] and curves["val/loss"][1].tolist() == [3.0]
    with path.open("a") as file:
        file.write('/loss": 0.5}\n')
    assert reader.read()["train/loss"][1].tolist() == [2.0, 1.0, 0.5]
    assert reader.latest() == {"train/loss": 0.5, "val/loss": 3.0}


def test_a_resumed_run_starts_its_curves_again_from_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, [{"step": n, "a": n} for n in range(1, 11)])
    reader = MetricsReader(path)
    assert len(reader.read()["a"][0]) == 10
    cut_after(path, 6)
    write(path, [{"step": 7, "a": 70}] + [{"step": n, "a": n} for n in range(8, 20)])
    assert reader.read()["a"][1].tolist() == [1, 2, 3, 4, 5, 6, 70, *range(8, 20)]


def test_thinning_keeps_spikes_ends_and_order():
    values = np.zeros(100_000)
    values[41_234] = 9.0
    values[77_777] = -9.0
    steps, kept = thin((np.arange(100_000), values))
    assert len(steps) <= 502
    assert kept.max() == 9.0 and kept.min() == -9.0
    assert steps[-1] == 99_999 and (np.diff(steps) > 0).all()
    short = (np.arange(3), np.arange(3.0))
    assert thin(short) is short


def test_thinning_survives_a_stretch_without_numbers():
    values = np.full(5000, np.nan)
    values[:10] = 1.0
    steps, _ = thin((np.arange(5000), values))
    assert 0 < len(steps) <= 502
