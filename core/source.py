"""Source code as text, cut from the file: the page shows the code that ran without importing torch."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]


def path_of(module: str) -> Path:
    """The file of a module of this project, found without importing it."""
    return _ROOT.joinpath(*module.split(".")).with_suffix(".py")


@cache
def cut(module: str, name: str = "") -> str:
    """The source of a top-level function, class or constant of a module; of the whole module without a name.

    Raises `LookupError` if there is no such name.
    """
    text = path_of(module).read_text(encoding="utf-8")
    if not name:
        return text
    for node in ast.parse(text).body:
        names = {getattr(node, "name", None)}
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
        if name in names:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise LookupError(f"{module} has no {name}")


def constant(module: str, name: str) -> Any:
    """The value of a literal constant of a module, without importing it."""
    node = ast.parse(cut(module, name)).body[0]
    if not isinstance(node, ast.Assign):
        raise LookupError(f"{module}.{name} is not a constant")
    return ast.literal_eval(node.value)


def body(module: str) -> str:
    """A module's source without its docstring and its imports from this project: to be pasted into a script."""
    text = path_of(module).read_text(encoding="utf-8")
    dropped: set[int] = set()
    tree = ast.parse(text)
    for index, node in enumerate(tree.body):
        docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ours = isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"core", "__future__"}
        if docstring or ours:
            dropped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return "\n".join(line for number, line in enumerate(text.splitlines(), 1) if number not in dropped).strip()
