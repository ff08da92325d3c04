"""Public names are exported as themselves, annotated, and documented in text and reference."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
INITS = {
    ".".join(path.parent.relative_to(ROOT).parts): path
    for path in sorted(
        [*ROOT.glob("flowtheory/__init__.py"), *ROOT.glob("flowtheory/*/__init__.py")]
    )
}


def imports(init: Path) -> Iterator[tuple[str, ast.alias]]:
    """Module and alias of everything that an `__init__.py` imports from the package."""
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flowtheory"):
            yield from ((str(node.module), alias) for alias in node.names)


ROOMS = [room for room, init in INITS.items() if any(imports(init))]


@pytest.mark.parametrize("room", ROOMS)
def test_exports_are_explicit(room: str) -> None:
    aliases = [alias for _, alias in imports(INITS[room])]
    assert not [alias.name for alias in aliases if alias.asname != alias.name]
    names = [alias.name for alias in aliases]
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_is_in_the_api_reference(room: str) -> None:
    page = ROOT / "docs" / "api" / f"{room}.md"
    assert page.exists(), "write it: uv run python scripts/generate_docs.py"
    entries = page.read_text(encoding="utf-8").splitlines()
    names = [alias.name for _, alias in imports(INITS[room])]
    assert not [name for name in names if f"::: {room}.{name}" not in entries]
    assert f"api/{room}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_is_documented_and_annotated(room: str) -> None:
    package = importlib.import_module(room)
    problems = [
        problem
        for module, alias in imports(INITS[room])
        for problem in value_problems(getattr(package, alias.name), module, alias.name)
    ]
    assert problems == []


def value_problems(value: Any, module: str, name: str) -> list[str]:
    value = inspect.unwrap(value)  # functools.cache
    if isinstance(value, type):
        own = [] if value.__doc__ else [f"{name}: no docstring"]
        return own + [problem for member in methods(value) for problem in function_problems(member)]
    if isinstance(value, FunctionType):
        return function_problems(value)
    return [] if constant_has_docstring(module, name) else [f"{name}: no docstring below it"]


def methods(cls: type) -> Iterator[FunctionType]:
    """The public functions and properties that a class defines itself."""
    for name, member in vars(cls).items():
        inner: Any = getattr(member, "fget", None) or getattr(member, "func", None) or member
        inner = getattr(inner, "__func__", inner)
        public = not name.startswith("_") or name == "__init__"
        if public and isinstance(inner, FunctionType) and inner.__module__ == cls.__module__:
            yield inner


def function_problems(function: FunctionType) -> list[str]:
    signature = inspect.signature(function)
    missing = [
        name
        for position, (name, parameter) in enumerate(signature.parameters.items())
        if parameter.annotation is parameter.empty
        and not (position == 0 and name in {"self", "cls"})
    ]
    problems = [f"{function.__qualname__}: {name} is not annotated" for name in missing]
    if function.__name__ == "__init__":  # its class documents it
        return problems
    if signature.return_annotation is signature.empty:
        problems.append(f"{function.__qualname__}: no return annotation")
    if not function.__doc__:
        problems.append(f"{function.__qualname__}: no docstring")
    return problems


def constant_has_docstring(module: str, name: str) -> bool:
    """Whether a string stands below the assignment of `name`, as documentation tools expect it."""
    source = inspect.getsource(importlib.import_module(module))
    body = ast.parse(source).body
    for node, below in zip(body, [*body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    return False
