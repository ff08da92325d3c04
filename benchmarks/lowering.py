"""Is a lowered network as fast as JAX code written by hand?

    python benchmarks/lowering.py [--repetitions 21] [--json [PATH]] [--quick]

The mean-square loss of two- and three-layer tanh networks and its gradient, at two shapes: lowered
and differentiated by JAX, lowered from the symbolic gradient, and written by hand. All three are
timed in turn in one process; the ratios are those of the medians. `sympy.lambdify` of the gradient
written out entry by entry is shown at 40 parameters. The times of a derivation and of the import
are measured in fresh processes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import _report
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from _report import Table

import flowtheory as ft
from flowtheory.lower import lower, lower_all
from flowtheory.symbolic import find_loss, fully_connected
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.network import mean_loss

SHAPES = ((1000, 20, 100), (100, 784, 2000))
"""(width m, dimension d, samples n)."""

Functions = Mapping[str, Callable[..., Any]]


def functions(layers: int) -> Functions:
    """(value, gradients) of the loss as functions of (weights, x, y)."""
    network = fully_connected(layers, "tanh")
    energy = mean_loss(network, find_loss("half_square"))
    arguments = (*network.bases, *network.data)
    lowered = lower(energy, arguments)
    rates = [(gradient(energy, entry), entry.indices) for entry in network.parameters]
    symbolic = lower_all([(energy, ()), *rates], arguments)

    def by_hand(weights: Sequence[Any], x: Any, y: Any) -> Any:
        signal = x
        for weight in weights[:-1]:
            signal = jnp.tanh(signal @ weight.T)
        return jnp.mean((y - signal @ weights[-1]) ** 2) / 2

    return {
        "by hand": jax.value_and_grad(by_hand),
        "lowered": jax.value_and_grad(lambda w, x, y: lowered(*w, x, y)),
        "symbolic": lambda w, x, y: symbolic(*w, x, y),
    }


def arrays(layers: int, shape: tuple[int, int, int]) -> tuple[list[Any], Any, Any]:
    m, d, n = shape
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(m, d)) / np.sqrt(d)]
    weights += [rng.normal(size=(m, m)) / np.sqrt(m) for _ in range(layers - 2)]
    weights += [rng.normal(size=m) / m]
    x, y = rng.normal(size=(n, d)), rng.normal(size=n)
    return [jnp.asarray(w) for w in weights], jnp.asarray(x), jnp.asarray(y)


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    began = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - began


def compile_seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Tracing and compiling, without what JAX remembers of an earlier call."""
    jax.clear_caches()
    return timed(lambda: jax.jit(lambda *a: function(*a)).lower(*arguments).compile() and None)


def compare(layers: int, shape: tuple[int, int, int], repetitions: int) -> dict[str, float]:
    given, (weights, x, y) = functions(layers), arrays(layers, shape)
    compiling = {name: [] for name in given}
    for _ in range(max(3, repetitions // 3)):
        for name, function in given.items():
            compiling[name].append(compile_seconds(function, weights, x, y))
    compiled = {name: jax.jit(function) for name, function in given.items()}
    results = {
        name: np.concatenate([np.ravel(a) for a in jax.tree.leaves(function(weights, x, y))])
        for name, function in compiled.items()
    }
    running = {name: [] for name in given}
    for _ in range(repetitions):
        for name, function in compiled.items():
            running[name].append(timed(function, weights, x, y))
    row: dict[str, float] = {"by hand: ms": 1e3 * median(running["by hand"])}
    row["by hand: compile ms"] = 1e3 * median(compiling["by hand"])
    scale = np.max(np.abs(results["by hand"]))
    for name in ("lowered", "symbolic"):
        row[f"{name}: run ratio"] = median(running[name]) / median(running["by hand"])
        row[f"{name}: compile ratio"] = median(compiling[name]) / median(compiling["by hand"])
        row[f"{name}: difference"] = np.max(np.abs(results[name] - results["by hand"])) / scale
    return row


def scalarised(repetitions: int) -> dict[str, float]:
    """Two layers, 8 neurons, 4 inputs, 5 samples: 40 parameters, every entry a symbol."""
    m, d, n = 8, 4, 5
    _, x, y = arrays(2, (m, d, n))
    w, v = sp.symarray("w", (m, d)), sp.symarray("v", m)
    z = w @ np.asarray(x).T
    outputs = [sum(v[j] * sp.tanh(z[j, i]) for j in range(m)) for i in range(n)]
    energy = sum((float(y[i]) - outputs[i]) ** 2 for i in range(n)) / (2 * n)
    parameters = [*w.ravel(), *v]
    began = time.perf_counter()
    rates = [sp.diff(energy, one) for one in parameters]
    derived = time.perf_counter() - began
    written = sp.lambdify([parameters], rates, modules="jax", cse=False)
    flat = jnp.asarray(np.random.default_rng(1).normal(size=len(parameters)))
    whole = functions(2)["symbolic"]

    def ours(theta: Any) -> Any:
        return whole((theta[: m * d].reshape(m, d), theta[m * d :]), x, y)[1:]

    theirs_s, ours_s = compile_seconds(written, flat), compile_seconds(ours, flat)
    run_theirs, run_ours = jax.jit(written), jax.jit(ours)
    pair = run_theirs(flat), run_ours(flat)
    a, b = (np.concatenate([np.ravel(one) for one in result]) for result in pair)
    times = [(timed(run_theirs, flat), timed(run_ours, flat)) for _ in range(repetitions)]
    return {
        "operations": float(sum(sp.count_ops(rate) for rate in rates)),
        "derivation s": derived,
        "compile s": theirs_s,
        "run us": 1e6 * median(first for first, _ in times),
        "lowered symbolic: compile s": ours_s,
        "lowered symbolic: run us": 1e6 * median(second for _, second in times),
        "difference": float(np.max(np.abs(a - b)) / np.max(np.abs(b))),
    }


def in_fresh_processes(repetitions: int) -> dict[str, float]:
    """Medians of the seconds that a fresh interpreter measures."""
    clock = "import time; began = time.perf_counter(); "
    derivation = (
        "import flowtheory; from flowtheory.symbolic import effective_flow, fully_connected; "
        f"{clock}effective_flow(fully_connected(4, 'tanh'), 'logistic').field; "
        "print(time.perf_counter() - began)"
    )
    imports = f"import jax, sympy; {clock}import flowtheory; print(time.perf_counter() - began)"

    def seconds(code: str) -> float:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return float(run.stdout)

    times = [(seconds(derivation), seconds(imports)) for _ in range(repetitions)]
    return {
        "effective flow, 4 layers: s": median(first for first, _ in times),
        "import after jax and sympy: s": median(second for _, second in times),
    }


def main() -> None:
    parser = _report.arguments("Lowered networks against JAX by hand.")
    parser.add_argument("--repetitions", type=int, default=21)
    options = parser.parse_args()
    shapes, layerings, processes = (SHAPES, (2, 3), 5)
    if options.quick:
        shapes, layerings, processes = ((10, 3, 8),), (2,), 1
    repetitions = 1 if options.quick else options.repetitions
    result: dict[str, dict[str, float]] = {}
    with ft.float64():
        for layers in layerings:
            for shape in shapes:
                name = f"{layers} layers, (m, d, n) = {shape}"
                result[name] = compare(layers, shape, repetitions)
        result["lambdify, 40 parameters"] = scalarised(repetitions)
    result["fresh processes"] = in_fresh_processes(processes)
    for title, row in result.items():
        print(title)
        for name, value in row.items():
            print(f"  {name:<32} {value:.4g}")
    titles = [title for title in result if "layers" in title]
    names = tuple(result[titles[0]])
    gradients = [(title, *result.pop(title).values()) for title in titles]
    tables = [Table("Loss and gradient", ("network", *names), gradients)]
    tables += [Table(title, tuple(row), [tuple(row.values())]) for title, row in result.items()]
    _report.write(options.json, __doc__, tables, quick=options.quick)


if __name__ == "__main__":
    main()
