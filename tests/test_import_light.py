"""Importing flowtheory is cheap and leaves the process as it was: no heavy library, no JAX flag."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {"diffrax", "numba", "matplotlib", "sklearn", "dask"}

IMPORT_PACKAGE = "import flowtheory"
IMPORT_ALL = """
import importlib, pkgutil, flowtheory
for module in pkgutil.walk_packages(flowtheory.__path__, "flowtheory."):
    if not module.name.endswith("__main__"):  # that one runs the command line
        importlib.import_module(module.name)
"""
FIRST_SOLVE = """
import numpy as np, flowtheory as ft
x = np.random.default_rng(0).standard_normal((8, 3))
flow = ft.GradientFlow(ft.fully_connected(2, "tanh"), "half_mse", x=x, y=np.tanh(x[:, 0]))
run = flow.solve(flow.init(scale=1e-6, width=30), until=ft.plateau_left(0.5), save=None)
assert run.outcome.ok
"""
REPORT_MODULES = """
import json, sys
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
# jax.config.values is what every jax.config.update writes to.
COMPARE_FLAGS = """
import json, jax
before = dict(jax.config.values)
{statements}
after = dict(jax.config.values)
print(json.dumps({{
    "flags": sorted(key for key in before if before[key] != after[key]),
    "float64": jax.config.jax_enable_x64,
    "default": str(jax.numpy.zeros(1).dtype),
}}))
"""


def printed(program: str) -> object:
    """The JSON that `program` prints in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_package_loads_no_heavy_library() -> None:
    loaded = printed(IMPORT_PACKAGE + REPORT_MODULES)
    assert isinstance(loaded, list)
    assert "flowtheory" in loaded
    assert not HEAVY & set(loaded)


def test_the_first_solve_waits_for_no_library_that_it_does_not_use() -> None:
    loaded = printed(FIRST_SOLVE + REPORT_MODULES)
    assert isinstance(loaded, list)
    assert {"jax", "sympy"} <= set(loaded)
    assert not (HEAVY | {"scipy", "equinox", "lineax", "optimistix"}) & set(loaded)


def test_no_module_changes_a_jax_flag() -> None:
    state = printed(COMPARE_FLAGS.format(statements=IMPORT_ALL))
    assert state == {"flags": [], "float64": False, "default": "float32"}


def test_a_flag_that_is_changed_would_be_seen() -> None:
    state = printed(COMPARE_FLAGS.format(statements='jax.config.update("jax_enable_x64", True)'))
    assert state == {"flags": ["jax_enable_x64"], "float64": True, "default": "float64"}
