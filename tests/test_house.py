"""The rules of the house: who may import whom, and what every capability has. New capabilities are found by themselves."""

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from core import capabilities, source
from core.config import Config, bounds, choices, mark

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "torchvision", "timm", "transformers"}
FILES = {"README.md", "config.py", "models.py", "train.py", "predict.py", "interpret.py", "export.py"}


def imports(path):
    """Everything that a file imports, as full dotted names: `from core import gan` is "core" and "core.gan"."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def python_files(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", python_files("core"), ids=lambda p: str(p.relative_to(ROOT)))
def test_core_has_no_screen(path):
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & {"streamlit", "ui", "pages"}


@pytest.mark.parametrize("path", python_files("pages", "ui"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_web_process_names_no_torch(path):
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY


def test_no_capability_imports_another():
    for name in capabilities.names():
        for path in (ROOT / "core" / name).rglob("*.py"):
            used = {part.split(".")[1] for part in imports(path) if part.startswith("core.") and "." in part}
            assert not used & (set(capabilities.names()) - {name}), path


def test_the_house_leans_on_no_capability_and_ui_on_no_page():
    for path in [*python_files("core/runs"), *(ROOT / "core").glob("*.py")]:
        used = {part.split(".")[1] for part in imports(path) if part.startswith("core.")}
        assert not used & set(capabilities.names()), path
    for path in python_files("ui"):
        assert "pages" not in {part.split(".")[0] for part in imports(path)}, path


def test_imports_are_seen_however_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "core" / "image").mkdir(parents=True)
    (tmp_path / "core" / "image" / "models.py").write_text("from core import gan\nfrom ..gan import train\nfrom . import data\n")
    found = set(imports(tmp_path / "core" / "image" / "models.py"))
    assert {"core.gan", "core.gan.train", "core.image.data"} <= found


def test_inside_a_capability_imports_point_down():
    rank = {"config": 0, "data": 1, "env": 1, "models": 1, "train": 2, "predict": 3, "interpret": 3}
    for name in capabilities.names():
        for path in (ROOT / "core" / name).glob("*.py"):
            for used in imports(path):
                part = used.removeprefix(f"core.{name}.").split(".")[0]
                if used.startswith(f"core.{name}.") and path.stem in {"config", "data", "env", "models"}:
                    assert rank.get(part, 0) <= rank[path.stem], f"{path.stem} imports {part}"


@pytest.mark.parametrize("name", capabilities.names())
def test_a_capability_has_all_its_files_and_a_page(name):
    files = {path.name for path in (ROOT / "core" / name).iterdir()}
    assert files >= FILES and files & {"data.py", "env.py"}
    assert (ROOT / "pages" / f"{name}.py").exists()
    assert len((ROOT / "core" / name / "README.md").read_text(encoding="utf-8")) > 1000


@pytest.mark.parametrize("name", capabilities.names())
def test_a_capability_keeps_the_contract(name):
    train = capabilities.module(name, "train")
    parameters = inspect.signature(train.train).parameters
    assert list(parameters)[:2] == ["config", "data"]
    assert parameters["device"].kind is parameters["resume"].kind is inspect.Parameter.KEYWORD_ONLY
    assert inspect.isgeneratorfunction(train.train)
    assert source.constant(f"core.{name}.train", "METRICS") == train.METRICS
    for function, part in (("save", "data"), ("load", "data"), ("evaluate", "predict"), ("files", "export")):
        assert callable(getattr(capabilities.module(name, part), function))


@pytest.mark.parametrize("name", capabilities.names())
def test_every_setting_has_default_bounds_and_help(name):
    kind = capabilities.config_class(name)
    assert issubclass(kind, Config)
    kind()
    for field, info in kind.model_fields.items():
        assert info.title and info.description, field
        if info.annotation is str:  # free text is never in the form
            assert mark(info, "hidden") and any(getattr(rule, "max_length", 0) for rule in info.metadata), field
        elif choices(info) is None and info.annotation is not bool:
            assert None not in bounds(info), field
    for preset, values in kind.PRESETS.items():
        config = kind.from_preset(preset)
        assert {field: getattr(config, field) for field in values} == values


def test_the_server_that_ships_is_closed_where_it_has_to_be():
    options = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert options["server"]["maxUploadSize"] == 50 and options["server"]["enableXsrfProtection"]
    assert options["client"]["showErrorDetails"] == "none" and not options["browser"]["gatherUsageStats"]


def test_the_image_runs_without_privileges_under_an_init_that_reaps():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    user = next(n for n, line in enumerate(lines) if line.startswith("USER ") and line.split()[1] not in {"root", "0"})
    start = next(n for n, line in enumerate(lines) if line.startswith("CMD "))
    assert user < start and not any(line.startswith("USER ") for line in lines[user + 1 :])
    assert 'ENTRYPOINT ["tini", "--"]' in lines and any(line.startswith("HEALTHCHECK ") for line in lines)


def test_no_file_shadows_the_standard_library():
    names = {path.stem for path in python_files("core", "ui", "pages", "benchmarks")}
    assert not (names - {"__init__"}) & (set(sys.stdlib_module_names) - {"config"})


def test_opening_every_page_leaves_torch_out_of_the_web_process(tmp_path):
    script = """
import sys
from streamlit.testing.v1 import AppTest
at = AppTest.from_file(r"{root}/ui/main.py", default_timeout=90).run()
assert "pandas" not in sys.modules, "the home page, a cold server's first, waits for pandas"
for page in {pages}:
    at.switch_page(page).run()
    assert not at.exception, (page, at.exception)
    assert at.title, page
loaded = sorted(set(sys.modules) & {heavy})
from ui.session import get_engine
get_engine.clear()
assert not loaded, loaded
print("light")
"""
    pages = [str(path) for path in sorted((ROOT / "pages").glob("*.py"))]
    done = subprocess.run(
        [sys.executable, "-c", script.format(root=ROOT, pages=pages, heavy=HEAVY)],
        cwd=ROOT,
        env={**__import__("os").environ, "MANABI_RUNS": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.stdout.strip().endswith("light"), done.stderr[-3000:]


def test_code_is_cut_from_its_file_and_is_what_runs():
    from core.forecasting import models

    assert source.cut("core.forecasting.models", "RecurrentForecaster") == inspect.getsource(models.RecurrentForecaster).rstrip()
    with pytest.raises(LookupError):
        source.cut("core.forecasting.models", "Nothing")
