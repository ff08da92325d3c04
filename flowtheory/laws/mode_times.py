r"""Times of the modes of a two-layer linear network from a small random start.

$\dot A = (M^T - A B^T) B$, $\dot B = (M - B A^T) A$ with $M = \mathrm{diag}(s_1 > s_2 > \dots)$:
row $i$ of $A$ is the first layer seen from mode $i$, row $i$ of $B$ the second one. Every mode
grows at its own rate $s_i$ at the origin and at every later saddle (idle hidden units), so that
$T_i = \frac1{s_i}\ln\frac1\varepsilon + O(1)$, and plateau $i$ lasts
$(1/s_{i+1} - 1/s_i)\ln\frac1\varepsilon$. The constant is exact too: what counts of the start of
mode $i$ is the part of $a_i + b_i$ orthogonal to those of the modes before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.errors import LawError
from flowtheory.flow.until import NEVER, loss_below
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import (
    Derivation,
    Line,
    deep_linear_saddle,
    effective_flow,
    matrix_factorization,
)

s, s_1, s_2, eps, p, p_1, p_2 = sp.symbols("s s_1 s_2 eps p p_1 p_2", positive=True)
rho = sp.Symbol("rho", positive=True)
T, D = sp.symbols("T D", positive=True)

LEADING = sp.log(1 / eps) / s
TIME = sp.log(s / (eps * p) ** 2) / (2 * s)
DURATION = (1 / s_2 - 1 / s_1) * sp.log(1 / eps)

MODES, WIDTH = 3, 4
SMALL = 1e-12
"""Scales up to which the constant is claimed: what is left out is O(eps^(2 (1 - s_2/s_1)))."""


def derive() -> Derivation:
    """The rates at the origin and at the next saddle from the engine, and the times they give."""
    flow = effective_flow(matrix_factorization(2), "half_square")
    origin = deep_linear_saddle(2, [], [s_1, s_2])
    saddle = deep_linear_saddle(2, [s_1], [s_2])
    rate = sp.Symbol("lambda")
    nu = sp.Symbol("nu_2")
    return Derivation(
        "Times of the modes of a two-layer linear network",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "M is its target"),
            Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "growth is exponential"),
            Line("rates at the origin", sp.Eq(rate, _growing(origin)), "each h times"),
            Line("rates after mode 1", sp.Eq(rate, _growing(saddle)), "of the idle hidden units"),
            Line("first mode", sp.Eq(sp.Symbol("T_1"), LEADING.subs(s, s_1)), "the largest rate"),
            Line(
                "second mode then",
                sp.Eq(nu, 1 - s_2 / s_1),
                "its amplitude is the power nu_2 of the scale",
            ),
            Line("plateau between", sp.Eq(D, DURATION), "nu_2 ln(1/eps) over the rate s_2"),
            Line(
                "with the constant",
                sp.Eq(T, TIME),
                "half strength; eps p is half the length of a_i + b_i without its parts along the "
                "modes before",
            ),
        ),
    )


def _growing(spectrum: Any) -> sp.FiniteSet:
    return sp.FiniteSet(*(rate for rate, _ in spectrum.parts if rate.is_positive))


def times(settings: Settings) -> Iterator[Evidence]:
    """Random starts of one direction and many scales: the time of each mode, and the durations."""
    least = settings.effort.pick(-40, -100, -140)
    scales = np.geomspace(1e-6, 10.0**least, settings.effort.pick(6, 10, 20))
    repeats = settings.effort.pick(2, 5, 12)
    rng = np.random.default_rng(settings.seed)
    for done in range(repeats):
        strengths = rng.uniform(1.0, 3.0) * np.cumprod([1.0, *rng.uniform(0.3, 0.6, MODES - 1)])
        flow = GradientFlow(matrix_factorization(2), "half_square", y=np.diag(strengths))
        A, B = (rng.standard_normal((MODES, WIDTH)) for _ in "AB")
        directions = {"W": A.T, "V": B}
        for scale in scales:
            yield from _run(flow, strengths, directions, float(scale), 1000 * settings.seed + done)
        settings.progress("times of modes", done + 1, repeats)


def _run(
    flow: GradientFlow,
    strengths: Float[np.ndarray, " K"],
    directions: Mapping[str, Float[np.ndarray, ...]],
    scale: float,
    seed: int,
) -> Iterator[Evidence]:
    """The rows of one run; its seed tells apart the starts, of which each has its own constants."""
    at, error = mode_times(flow, strengths, {n: scale * d for n, d in directions.items()})
    A, B = directions["W"].T, directions["V"]
    reach, whole = amplitudes(A, B), np.linalg.norm(A + B, axis=1) / 2
    for i, strength in enumerate(strengths):
        parameters = {"eps": scale, "s": strength, "p": reach[i], "rho": whole[i]}
        for experiment in ("slope", "constant") if scale <= SMALL else ("slope",):
            yield Evidence(
                "times", f"{experiment}, mode {i + 1}", parameters, at[i], error=error, seed=seed
            )
    for i, (first, second) in enumerate(pairwise(at)):
        yield Evidence(
            "times",
            f"plateau {i + 1}",
            {"eps": scale, "s_1": strengths[i], "s_2": strengths[i + 1]},
            second - first,
            error=2 * error,
            seed=seed,
        )


def mode_times(
    flow: GradientFlow,
    strengths: Float[np.ndarray, " K"],
    start: Mapping[str, Float[np.ndarray, ...]],
) -> tuple[list[float], float]:
    r"""(times, error): when the loss is $\frac18 s_i^2 + \frac12\sum_{j>i} s_j^2$, for every $i$.

    Mode $i$ has half its strength then, those before it all, those after it none.
    """
    squares = strengths**2
    levels = [squares[i] / 8 + squares[i + 1 :].sum() / 2 for i in range(len(strengths))]
    watch = NEVER
    for level in levels[:-1]:
        watch = watch | loss_below(float(level))
    run = flow.solve(
        dict(start),
        until=loss_below(float(levels[-1])),
        watch=watch,
        save="norms",
        rtol=1e-11,
    )
    found = sorted(event.time for event in run.events)
    if len(found) < len(levels):
        raise LawError(
            f"a run ended with {run.outcome.value} after {len(found)} of {len(levels)} modes",
            expected="every mode",
            fix="as many hidden units as modes, and strengths that differ",
        )
    return found, float(run.error_estimate)


def amplitudes(A: Float[np.ndarray, "K h"], B: Float[np.ndarray, "K h"]) -> Float[np.ndarray, " K"]:
    r"""$|P_i(a_i + b_i)|/2$, $P_i$ away from the span of $a_j + b_j$ of all $j < i$.

    These are the diagonal entries of a QR factorization.
    """
    return np.abs(np.diag(np.linalg.qr(((A + B) / 2).T)[1]))


MODE_FAMILIES = tuple(f"slope, mode {i + 1}" for i in range(MODES))
PLATEAUS = tuple(f"plateau {i + 1}" for i in range(MODES - 1))
SOURCE = "flowtheory, docs/laws/mode-times"

LAW = Law(
    name="mode-times",
    title="times of modes and of plateaus of a two-layer linear network",
    statements=(
        Statement("modes, leading part", "published", sp.Eq(T, LEADING),
                  "Gidel, Bach, Lacoste-Julien, NeurIPS 2019, arXiv:1904.13262",
                  "up to a constant; steps at T_i in units of ln(1/eps)"),
        Statement("plateaus", "derived", sp.Eq(D, DURATION), SOURCE,
                  "up to a constant; s_1 > s_2 two successive modes"),
        Statement("modes, with the constant", "sharper", sp.Eq(T, TIME), SOURCE,
                  "up to a power of eps; generic starts that need not be aligned nor balanced"),
    ),
    symbols=(
        SymbolInfo(T, "time at which a mode has half its strength", "gain**-2"),
        SymbolInfo(D, "time between two successive modes", "gain**-2"),
        SymbolInfo(s, "strength of the mode: a singular value of M", "gain**2"),
        SymbolInfo(s_1, "strength of the earlier mode", "gain**2"),
        SymbolInfo(s_2, "strength of the later mode", "gain**2"),
        SymbolInfo(eps, "scale of the start", "1"),
        SymbolInfo(p, "(a_i + b_i)/(2 eps) without its parts along earlier modes, its length",
                   "gain"),
    ),
    assumptions=(),
    clock=Clock("sum", 1.0),
    experiments=(Experiment("times", "random starts, scales down to 1e-140", times),),
    controls=(),
    claims=(
        Claim(
            "T_i grows as ln(1/eps)/s_i", "times",
            Slope(axis(LEADING), tolerance=1e-3), LEADING,
            {
                "the scale of the product": LEADING / 2,
                "the rate of the loss": 2 * LEADING,
                "independent of eps": sp.Integer(0),
            },
            families=MODE_FAMILIES, axis="eps",
        ),
        Claim(
            "plateaus last (1/s_2 - 1/s_1) ln(1/eps)", "times",
            Slope(axis(DURATION), tolerance=1e-3), DURATION,
            {
                "the second mode grows from eps": sp.log(1 / eps) / s_2,
                "the difference of the rates": sp.log(1 / eps) / (s_1 - s_2),
                "independent of eps": sp.Integer(0),
            },
            families=PLATEAUS, axis="eps",
        ),
        Claim(
            "T_i = ln(s_i/(eps p_i)^2)/(2 s_i)", "times", Equality(1e-7), TIME,
            {
                "the whole of a_i + b_i": TIME.subs(p, rho),
                "without the constant": LEADING,
                "balanced: twice p": TIME.subs(p, 2 * p),
            },
            families=tuple(f"constant, mode {i + 1}" for i in range(MODES)), axis="eps",
        ),
    ),
    not_shown=(
        "equal or nearly equal strengths: the remainder is O(eps^(2 (1 - s_(i+1)/s_i)))",
        "inputs that are not whitened",
        "fewer hidden units than modes: the last modes then never come",
    ),
    references=(
        "G. Gidel, F. Bach, S. Lacoste-Julien. Implicit regularization of discrete gradient "
        "dynamics in linear neural networks. NeurIPS 2019. arXiv:1904.13262.",
        "A. Saxe, J. McClelland, S. Ganguli. Exact solutions to the nonlinear dynamics of learning "
        "in deep linear neural networks. ICLR 2014. arXiv:1312.6120.",
    ),
    docs="docs/laws/mode-times.md",
    derive=derive,
)  # fmt: skip
