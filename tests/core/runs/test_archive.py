import io
import json
import struct
import zipfile

import pytest

from core.errors import UserError
from core.forecasting.config import ForecastingConfig
from core.runs import archive, store

EXAMPLE = "example-forecasting-airline-lstm"


def rezip(content, change):
    """The same zip with some entries changed; None drops one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        entries = {name: old.read(name) for name in old.namelist()}
        entries.update(change)
        for name, data in entries.items():
            if data is not None:
                new.writestr(name, data)
    return out.getvalue()


@pytest.fixture(scope="module")
def packed():
    return archive.pack(EXAMPLE)


def test_a_zip_holds_everything_and_comes_back_as_the_same_run(packed, fresh_runs):
    names = set(zipfile.ZipFile(io.BytesIO(packed)).namelist())
    assert {"run.json", "metrics.jsonl", "checkpoint.safetensors", "result.json", "reproduce.py", "series.csv"} <= names
    run = store.read(archive.unpack(packed))
    original = store.read(EXAMPLE)
    assert (run.config, run.status, run.result) == (original.config, "finished", "ready")
    assert store.result(run.id)["sentence"] == store.result(EXAMPLE)["sentence"]
    assert store.sample_steps(run.id) == store.sample_steps(EXAMPLE)
    assert store.checkpoint_step(run.id) == store.checkpoint_step(EXAMPLE) > 0


def test_names_in_a_zip_choose_no_path(packed, fresh_runs, tmp_path):
    evil = {
        "../../evil.txt": b"x",
        "/etc/evil": b"x",
        "samples/../../evil.txt": b"x",
        "samples/evil.safetensors": b"x",
        "control.json": b"{}",
    }
    run_id = archive.unpack(rezip(packed, evil))
    assert not list(tmp_path.rglob("*evil*"))
    assert not (store.folder(run_id) / "control.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run.json": None}, "run.json is missing"),
        ({"run.json": b"{}"}, "not one of Manabi's"),
        ({"run.json": b"\xff\xfe\x00"}, "not one of Manabi's"),
        ({"checkpoint.safetensors": b"\x80\x04not a tensor"}, "damaged"),
        ({"checkpoint.safetensors": struct.pack("<Q", 1 << 60)}, "damaged"),
        ({"samples/00000001.safetensors": b"junk"}, "damaged"),
        ({"metrics.jsonl": b'{"step": "x"}\n'}, "damaged"),
        ({"metrics.jsonl": b"[1]\n"}, "damaged"),
        ({"metrics.jsonl": b'{"step": 1' + b"0" * 30 + b', "train/loss": 1.0}\n'}, "damaged"),
        ({"series.parquet": b"PAR1 nonsense"}, "dataset"),
        ({"series.json": None}, "dataset"),
    ],
)
def test_every_piece_is_checked_and_nothing_stays_of_a_bad_zip(packed, fresh_runs, change, words):
    with pytest.raises(UserError, match=words):
        archive.unpack(rezip(packed, change))
    assert store.all_ids() == []


def test_a_full_disk_is_not_blamed_on_the_zip(packed, fresh_runs, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "write_whole", full)
    with pytest.raises(UserError, match="disk is full"):
        archive.unpack(packed)
    assert store.all_ids() == []


def test_a_verdict_is_found_again_never_believed(packed, fresh_runs):
    forged = json.dumps({"beats": True, "sentence": "[click](https://evil)"}).encode()
    run = store.read(archive.unpack(rezip(packed, {"result.json": forged})))
    assert store.result(run.id)["sentence"] == store.result(EXAMPLE)["sentence"]


@pytest.mark.parametrize(("status", "result", "then"), [("running", "pending", "interrupted"), ("finished", "pending", "finished")])
def test_a_run_packed_under_way_comes_back_settled(packed, fresh_runs, status, result, then):
    record = json.loads(zipfile.ZipFile(io.BytesIO(packed)).read("run.json")) | {"status": status, "result": result}
    run = store.read(archive.unpack(rezip(packed, {"run.json": json.dumps(record).encode()})))
    assert run.settled and run.status == then and run.owner == "" and run.mates == []


def test_a_zip_with_a_flipped_or_locked_byte_is_damaged(packed, fresh_runs):
    content = bytearray(packed)
    at = content.index(b"run.json") + 60
    content[at : at + 20] = bytes(20)
    locked = bytearray(packed)
    locked[6] |= 1  # "encrypted"
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    for bad in (content, locked):
        with pytest.raises(UserError):
            archive.unpack(bytes(bad))
    assert store.all_ids() == []


def test_settings_out_of_bounds_are_refused(packed, fresh_runs):
    record = json.loads(zipfile.ZipFile(io.BytesIO(packed)).read("run.json"))
    for change in ({"config": {**record["config"], "hidden_size": 10**9}}, {"capability": "os"}):
        with pytest.raises(UserError):
            archive.unpack(rezip(packed, {"run.json": json.dumps(record | change).encode()}))


def test_bombs_and_junk_are_refused(fresh_runs):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("run.json", b"0" * (archive.MAX_UNPACKED + 1))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as crowd:
        for n in range(archive.MAX_ENTRIES + 1):
            crowd.writestr(str(n), b"")
    for content, words in (
        (out.getvalue(), "unpacks to more"),
        (many.getvalue(), "unpacks to more"),
        (b"no zip", "not a zip"),
        (b"", "not a zip"),
    ):
        with pytest.raises(UserError, match=words):
            archive.unpack(content)


def test_settings_that_a_zip_does_not_say_are_the_defaults_and_are_written_down(packed, fresh_runs):
    record = json.loads(zipfile.ZipFile(io.BytesIO(packed)).read("run.json"))
    some = {name: value for name, value in record["config"].items() if value != getattr(ForecastingConfig(), name)}
    assert some and some != record["config"]
    run = store.read(archive.unpack(rezip(packed, {"run.json": json.dumps(record | {"config": some}).encode()})))
    assert run.config == ForecastingConfig(**some).model_dump() == record["config"]


@pytest.mark.parametrize(
    "change",
    [
        *({"step": step} for step in ("every full moon", None, "0D", "-1D", "9999999999999999999D")),
        *({"season": season} for season in (-1, "x", 12.5, True, float("inf"))),
        *({"filled": [row]} for row in (10**6, -1, 1.5)),
    ],
)
def test_a_series_whose_facts_are_wrong_is_damaged(packed, fresh_runs, change):
    facts = json.loads(zipfile.ZipFile(io.BytesIO(packed)).read("series.json"))
    with pytest.raises(UserError, match="missing or damaged"):
        archive.unpack(rezip(packed, {"series.json": json.dumps(facts | change).encode()}))
    assert store.all_ids() == []
