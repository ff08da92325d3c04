"""The house: imports point up the list of floors, nothing is cyclic, files and functions small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "flowtheory"

# A room may import from the floors before its own, never from its own floor's other rooms.
FLOORS = (
    {"errors"},
    {"outcome", "clock", "precision", "box", "files", "userfile", "versions", "blas", "threads"},
    {"symbolic"},
    {"flow", "exact", "measure", "judge", "data"},
    {"lower"},
    {"plot"},
    {"engine"},
    {"sweep"},
    {"phase"},
    {"laws"},
    {"report"},
    {"cli"},
    {"testing"},
    {"__init__"},
    {"__main__"},
)
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
MAX_FILE, MAX_FUNCTION, P90_FUNCTION = 500, 60, 30

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def room(module: str) -> str:
    return [*module.split("."), "__init__"][1]


def imported(module: str) -> Iterator[str]:
    """What `module` imports anywhere in its text, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                # `from a import b` is an edge to our module a.b if there is one, else to a.
                full = f"{origin}.{alias.name}"
                ours = origin.split(".")[0] == "flowtheory"
                yield origin if ours and full not in MODULES else full


EDGES = {module: set(imported(module)) for module in MODULES}
INNER = {
    module: {to for to in edges if to.split(".")[0] == "flowtheory"}
    for module, edges in EDGES.items()
}
LIBRARIES = {module: {to.split(".")[0] for to in edges} for module, edges in EDGES.items()}


def test_every_room_stands_on_a_floor() -> None:
    assert {room(module) for module in MODULES} <= set(FLOOR)


def test_imports_point_up_the_list() -> None:
    assert {to for edges in INNER.values() for to in edges} <= set(MODULES)
    assert not [module for module, edges in EDGES.items() if any(to[0] == "." for to in edges)]
    wrong = [
        f"{module} imports {to}"
        for module, edges in INNER.items()
        for to in edges
        if room(to) != room(module) and FLOOR[room(to)] >= FLOOR[room(module)]
    ]
    assert wrong == []


def test_no_import_cycle() -> None:
    try:
        TopologicalSorter(INNER).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def users(library: str) -> set[str]:
    return {module for module, libraries in LIBRARIES.items() if library in libraries}


def test_libraries_stay_in_their_rooms() -> None:
    assert users("diffrax") <= {"flowtheory.flow.integrate"}
    assert {room(module) for module in users("sympy") & users("jax")} <= {"lower"}
    assert not {room(module) for module in users("jax")} & (FLOORS[2] | FLOORS[3] - {"flow"})
    # Importing symbolic/ would load SymPy as surely as importing SymPy does.
    symbolic = {module for module in MODULES if any(room(to) == "symbolic" for to in INNER[module])}
    assert not {room(module) for module in users("sympy") | symbolic} & FLOORS[3]
    solvers = ("scipy.integrate", "diffrax")
    exact = {to for module in MODULES if room(module) == "exact" for to in EDGES[module]}
    assert not [to for to in exact if to.startswith(solvers)]


def test_classes_are_documented() -> None:
    bare = [
        f"{module}.{node.name}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not ast.get_docstring(node)
    ]
    assert bare == []


SOURCES = [
    path
    for folder in ("flowtheory", "tests", "scripts", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def function_lengths(path: Path) -> dict[str, int]:
    """Lines of each function; its docstring is not counted, mathematics takes what it takes."""
    lengths = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = node.body[0] if ast.get_docstring(node) else None
            words = (text.end_lineno or 0) - text.lineno + 1 if text else 0
            lengths[f"{path.relative_to(ROOT)}:{node.lineno}"] = (
                (node.end_lineno or 0) - node.lineno + 1 - words
            )
    return lengths


def test_files_are_short() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {str(path): n for path, n in lines.items() if n > MAX_FILE} == {}


def test_functions_are_short() -> None:
    lengths = {name: n for path in SOURCES for name, n in function_lengths(path).items()}
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION} == {}
    ours = sorted(n for path in MODULES.values() for n in function_lengths(path).values())
    assert ours[int(0.9 * len(ours))] <= P90_FUNCTION
