"""Every package that flowtheory needs, directly or not, is pinned to one exact version by name."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
PINS = [Requirement(line) for line in PROJECT["tool"]["uv"]["constraint-dependencies"]]


def needed(requirement: Requirement, found: set[str]) -> None:
    """Add to `found` what `requirement` needs here, as far as it is installed."""
    name = canonicalize_name(requirement.name)
    extras = requirement.extras or {""}
    applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    if not applies or name in found:
        return
    found.add(name)
    try:
        inner = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for line in inner:
        child = Requirement(line)
        if child.marker is None or any(child.marker.evaluate({"extra": e}) for e in extras):
            child.marker = None
            needed(child, found)


def test_pins_are_exact_and_unique() -> None:
    assert all([spec.operator for spec in pin.specifier] == ["=="] for pin in PINS)
    assert not [pin for pin in PINS if pin.url or "*" in str(pin.specifier)]
    names = [canonicalize_name(pin.name) for pin in PINS]
    assert names == sorted(set(names))


def test_everything_needed_is_pinned() -> None:
    groups = PROJECT["dependency-groups"].values()
    roots = [*PROJECT["project"]["dependencies"], *(line for group in groups for line in group)]
    found: set[str] = set()
    for line in roots:
        needed(Requirement(line), found)
    assert {"jaxlib", "llvmlite", "pluggy"} <= found  # the walk does go down
    assert not found - {canonicalize_name(pin.name) for pin in PINS}


def test_no_lock_file_and_bytecode_on_install() -> None:
    ignored = (Path(__file__).parents[1] / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "uv.lock" in ignored
    assert PROJECT["tool"]["uv"]["compile-bytecode"] is True
