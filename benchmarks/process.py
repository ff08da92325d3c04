"""How long does a whole process take that solves one problem, from nothing to the answer?

    python benchmarks/process.py [--width 1000] [--repeats 1] [--json [PATH]] [--quick]

Problem P1 (`plateau.py`), each line a fresh interpreter with an empty or a filled persistent cache
of JAX (thresholds 0), or none. Ours as a user writes it, `ft.GradientFlow.solve`, with the end
alone (`save=None`) and with the default rows; the peer is a diffrax script (Dopri8, 1e-8, an event
on the loss), with its default `throw=True`, whose program JAX never stores, and without. Seconds of
a process are wall time from its start to its end; `imports` and `solve` are measured inside;
`stored` counts the programs in the cache and says whether the loop over the steps is one of them.
Medians; an empty cache is made anew each time. The error is that of the time, against a tighter run
of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import _report
from _goals import Line, goal_table
from _report import Table

EPS, RTOL = 1e-6, 1e-8
LOOPS = ("jit_stretch", "jit_solve")
"""The programs that hold a loop over steps: ours, and the peer's script. The nodes of a condensed
run are marched by NumPy, without a compiled loop."""


def problem(width: int) -> tuple[Any, Any, dict[str, Any]]:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 20))
    y = np.tanh(2 * x @ rng.standard_normal(20) / np.sqrt(20))
    W, v = rng.standard_normal((width, 20)), rng.standard_normal(width)
    return x, y, {"W": EPS * W, "v": EPS * v}


def ours(width: int, **options: Any) -> tuple[float, float]:
    import flowtheory as ft

    x, y, start = problem(width)
    flow = ft.GradientFlow(ft.fully_connected(2, "tanh"), "half_mse", x=x, y=y)
    imported = time.perf_counter()
    run = flow.solve(start, until=ft.plateau_left(0.5), **options)
    assert run.outcome.ok, run.outcome
    return imported, float(run.t_end)


def peer(width: int, throw: bool) -> tuple[float, float]:
    """A script that a user of diffrax would write; float64 is its own to switch on."""
    import diffrax
    import jax
    import jax.numpy as jnp
    import optimistix

    x, y, start = problem(width)
    imported = time.perf_counter()
    jax.config.update("jax_enable_x64", True)

    def loss(p: Any) -> Any:
        return jnp.mean((p["v"] @ jnp.tanh(p["W"] @ x.T) - y) ** 2) / 2

    level = 0.5 * float(jnp.mean(y**2)) / 2

    @jax.jit
    def solve(p: Any) -> Any:
        ended = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, p, _: jax.tree.map(jnp.negative, jax.grad(loss)(p))),
            diffrax.Dopri8(), 0.0, 1e4, None, p, saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=RTOL * EPS),
            event=diffrax.Event(
                lambda t, y, args, **_: loss(y) - level, optimistix.Newton(1e-10, 1e-10)
            ),
            max_steps=4096, throw=throw,
        )  # fmt: skip
        assert ended.ts is not None
        return ended.ts[-1]

    return imported, float(solve(start))


def bare(width: int) -> tuple[float, float]:
    """What no process that uses JAX can be faster than."""
    import jax.numpy  # noqa: F401

    return time.perf_counter(), 0.0


CHILDREN: dict[str, Callable[[int], tuple[float, float]]] = {
    "ours, the end alone": lambda width: ours(width, save=None),
    "ours, rows saved": ours,
    "diffrax script": lambda width: peer(width, True),
    "diffrax script, throw=False": lambda width: peer(width, False),
    "JAX alone": bare,
    "reference": lambda width: ours(width, rtol=1e-11, skip=False, estimate=False),
}


def child(name: str, width: int) -> None:
    """Runs in a fresh interpreter; prints what it measured inside."""
    began = time.perf_counter()
    imported, found = CHILDREN[name](width)
    ended = time.perf_counter()
    print(json.dumps({"imports": imported - began, "solve": ended - imported, "time": found}))


def spawned(name: str, width: int, cache: str | None) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    if cache is not None:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    line = [sys.executable, __file__, "--child", name, "--width", str(width)]
    began = time.perf_counter()
    run = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {"process": time.perf_counter() - began, **json.loads(run.stdout)}


def stored(cache: str) -> str:
    names = [path.name for path in Path(cache).iterdir() if path.name.endswith("-cache")]
    loop = any(name.startswith(LOOPS) for name in names)
    return f"{len(names)}, {'with' if loop else 'no'} loop"


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: median(run[key] for run in runs) for key in runs[0]}


def measured(name: str, width: int, repeats: int) -> dict[str, tuple[dict[str, Any], str]]:
    """By the state of the cache: what was measured, and what the cache holds."""
    found = {"none": (middle([spawned(name, width, None) for _ in range(repeats)]), "")}
    empty, what = [], ""
    with tempfile.TemporaryDirectory() as place:
        for number in range(repeats):
            cache = str(Path(place) / str(number))
            Path(cache).mkdir()
            empty.append(spawned(name, width, cache))
            what = stored(cache)
        filled = [spawned(name, width, str(Path(place) / "0")) for _ in range(repeats)]
    return found | {"empty": (middle(empty), what), "filled": (middle(filled), what)}


def lines(
    cases: Mapping[tuple[str, str], dict[str, Any]], exact: float, alone: float
) -> list[Line]:
    ours, theirs = cases["ours, the end alone", "filled"], cases["diffrax script", "none"]
    limit = (
        f"importing JAX, SymPy and NumPy and building the flow: {ours['imports']:.1f} s of "
        f"{ours['process']:.1f} s; the solve, its programs read from the cache, takes "
        f"{ours['solve']:.1f} s, nearly all of it JAX's tracing; a process that imports JAX and "
        f"does nothing takes {alone:.1f} s, so that no ratio above "
        f"{theirs['process'] / alone:.1f} can be had with it"
    )
    times = (ours["process"], theirs["process"])
    errors = (abs(ours["time"] / exact - 1), abs(theirs["time"] / exact - 1))
    return [Line("P1, whole process", "diffrax script, cold", *times, *errors, limit)]


def main() -> None:
    parser = _report.arguments("Whole processes, with and without compiled programs on disk.")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    width, repeats = (50, 1) if options.quick else (options.width, options.repeats)
    if options.child:
        child(options.child, options.width)
        return
    exact = spawned("reference", width, None)["time"]
    alone = spawned("JAX alone", width, None)["process"]
    cases, rows = {}, []
    for name in list(CHILDREN)[:-2]:
        for state, (case, what) in measured(name, width, repeats).items():
            cases[name, state] = case
            error = abs(case["time"] / exact - 1)
            times = (case["process"], case["imports"], case["solve"])
            rows.append((name, state, *times, what, error))
            print(f"{name:<28} {state:<7}" + "".join(f"{t:8.2f}" for t in times)
                  + f"  error {error:.1e}  {what}", flush=True)  # fmt: skip
    columns = ("script", "cache", "process s", "imports s", "solve s", "stored", "error")
    _report.write(
        options.json,
        __doc__,
        [goal_table(lines(cases, exact, alone)), Table("Fresh processes", columns, rows)],
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
