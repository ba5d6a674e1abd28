import os
import time

from core.runs import retention, store, uploads


def age(path, days):
    when = time.time() - days * 86400
    for entry in [*path.iterdir(), path]:
        os.utime(entry, (when, when))


def test_old_runs_and_uploads_go_and_what_is_under_way_stays(fresh_runs, small):
    old, active, dead, new = (store.create("forecasting", *small) for _ in range(4))
    for run in (old, new):
        store.change(run.id, status="finished")
    for run in (active, dead):
        store.change(run.id, status="running")
    upload = uploads.save(b"x", "x.csv")
    for path in (store.folder(old.id), store.folder(dead.id), store.root() / "uploads" / upload):
        age(path, 10)
    assert retention.prune(days=7, gib=5) == 3
    assert sorted(store.all_ids()) == sorted([active.id, new.id])


def test_when_it_is_too_much_uploads_go_before_runs_and_the_oldest_first(fresh_runs, small):
    first, second = (store.create("forecasting", *small) for _ in range(2))
    for run in (first, second):
        store.change(run.id, status="finished")
    age(store.folder(first.id), 2)
    uploads.save(os.urandom(500_000), "x.csv")
    both = sum(path.stat().st_size for run in (first, second) for path in store.folder(run.id).rglob("*") if path.is_file())
    assert retention.prune(days=7, gib=(both + 1000) / 2**30) == 1
    assert len(store.all_ids()) == 2
    assert retention.prune(days=7, gib=(both - 1000) / 2**30) == 1
    assert store.all_ids() == [second.id]


def test_a_record_that_cannot_be_read_does_not_stop_retention(fresh_runs, small):
    run = store.create("forecasting", *small)
    (store.folder(run.id) / "run.json").write_text("{}")
    age(store.folder(run.id), 10)
    assert retention.prune(days=7, gib=5) == 1


def test_only_a_demo_prunes(fresh_runs, small, monkeypatch):
    run = store.create("forecasting", *small)
    store.change(run.id, status="finished")
    age(store.folder(run.id), 100)
    monkeypatch.setattr(retention, "_last", -1e9)
    retention.enforce()
    assert store.exists(run.id)
    monkeypatch.setenv("MANABI_DEMO", "1")
    retention.enforce()
    assert not store.exists(run.id)
