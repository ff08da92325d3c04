r"""The second plateau of a deep linear network, by deflation and restart of the leading flow.

For $L \ge 3$ layers at scale $\varepsilon$ the first mode is learnt at
$T_1 = T_1^*\varepsilon^{-(L-2)} + O(1)$, with $T_1^*$ the blow-up time of the leading flow. What
does not blow up there has a limit: the layers without their top singular triples. From these the
leading flow of $M$ without its top pair blows up after $T_2^*$, and
$T_2 - T_1 = T_2^*\varepsilon^{-(L-2)} + O(1)$.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.errors import LawError
from flowtheory.flow.settings import Settings as Method
from flowtheory.flow.until import loss_below
from flowtheory.judge import Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.frames import Matrix, orthogonal
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.lower import LeadingBlowUp
from flowtheory.symbolic import (
    Derivation,
    Line,
    aligned_layers,
    effective_flow,
    matrix_factorization,
)

L = sp.Symbol("L", integer=True, positive=True)
eps, s_1, s_2, w_0 = sp.symbols("eps s_1 s_2 w_0", positive=True)
T_1, T_2, T_again = sp.symbols("T_1 T_2 T_again", positive=True)
plateau, first = sp.symbols("D T", positive=True)

UNIT = eps ** (2 - L)
FIRST, SECOND = T_1 * UNIT, T_2 * UNIT
ALIGNED = (1 / s_2 - 1 / s_1) / ((L - 2) * w_0 ** (L - 2))

Layers = Mapping[str, Matrix]
MODES, WIDTH = 2, 4
GAINS = (10.0, 12.0, 14.0)
"""Growth ln |theta| at which the layers are deflated; what is left is extrapolated."""


@lru_cache(maxsize=8)
def leading(depth: int) -> LeadingBlowUp:
    """The leading flow of a factorization, ready to be integrated to blow-up."""
    return LeadingBlowUp(effective_flow(matrix_factorization(depth), "half_square"))


def derive() -> Derivation:
    """Degree, leading flow and aligned times of the engine, and what deflation makes of them."""
    flow = effective_flow(matrix_factorization(3), "half_square")
    chain = aligned_layers(3)
    balanced = chain.blow_up_time
    return Derivation(
        "The second plateau of a deep linear network",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "three layers"),
            Line("leading part", sp.Eq(sp.Symbol("H"), flow.potential), "M the target"),
            Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "k = L: the times scale as below"),
            Line("gap", sp.Eq(sp.Symbol("q"), flow.gap), "above k - 2: the remainder is O(1)"),
            Line("one mode", sp.Eq(T_1, balanced), "of aligned gains, exactly"),
            Line("first mode", sp.Eq(first, FIRST), "T_1 the blow-up time of the start"),
            Line("second plateau", sp.Eq(plateau, SECOND), "T_2 that of the deflated layers"),
            Line("aligned and balanced", sp.Eq(plateau, ALIGNED), "gains w_0 in both modes"),
        ),
    )


def without_top(layers: Layers) -> dict[str, Matrix]:
    """Every layer without its largest singular value."""
    return {name: matrix - _top(matrix) for name, matrix in layers.items()}


def _top(matrix: Matrix) -> Matrix:
    u, values, vt = np.linalg.svd(matrix)
    return values[0] * np.outer(u[:, 0], vt[0])


def second_time(
    start: Layers, moment: Matrix, deflate: Callable[[Layers], Layers] = without_top
) -> tuple[float, float]:
    r"""$(T_1^*, T_2^*)$: blow-up times of the start, and of what is left at the blow-up.

    The layers are deflated at three growths; their times converge geometrically, and Aitken's
    process takes the limit.
    """
    flow = leading(len(start))
    rest = moment - _top(moment)
    first, times = math.nan, []
    for gain in GAINS:
        run = flow(start, {"y": moment}, gain=gain, rtol=1e-13)
        first = float(run.blow_up_time.estimate)
        left = deflate({name: np.asarray(value) for name, value in run.params().items()})
        times.append(flow(left, {"y": rest}).blow_up_time.estimate)
    a, b, c = times
    bend = (c - b) - (b - a)
    limit = c - (c - b) ** 2 / bend if bend != 0 else c
    return first, float(limit)


def plateaus(settings: Settings) -> Iterator[Evidence]:
    """Random starts: when the exact flow has half of each mode, over the scale."""
    cases = settings.effort.pick({3: (-2, -3.5)}, {3: (-2, -4)}, {3: (-2, -5), 4: (-1.3, -2.4)})
    repeats = settings.effort.pick(2, 4, 3)
    rng = np.random.default_rng(settings.seed)
    for depth, powers in cases.items():
        scales = np.logspace(powers[0], powers[1], settings.effort.pick(5, 6, 7))
        for done in range(repeats):
            top = float(rng.uniform(1.5, 2.5))
            strengths = (top, top * float(rng.uniform(0.52, 0.6)))
            moment = (orthogonal(MODES, rng) * strengths) @ orthogonal(MODES, rng)
            flow = GradientFlow(matrix_factorization(depth), "half_square", y=moment)
            start = flow.init(seed=rng, width=WIDTH)
            seed = 1000 * settings.seed + done
            yield from _case(flow, moment, strengths, start, scales, seed)
            settings.progress(f"second plateau, L = {depth}", done + 1, repeats)


def _case(
    flow: GradientFlow,
    moment: Matrix,
    strengths: tuple[float, float],
    start: Layers,
    scales: np.ndarray,
    seed: int,
) -> Iterator[Evidence]:
    """The rows of one start."""
    one, two = second_time(start, moment)
    again = leading(len(start))(start, {"y": moment - _top(moment)}).blow_up_time.estimate
    for scale in scales:
        times, error = _times(flow, strengths, {n: scale * value for n, value in start.items()})
        given = {
            "L": len(start),
            "eps": float(scale),
            "s_1": strengths[0],
            "s_2": strengths[1],
            "T_1": one,
            "T_2": two,
            "T_again": again,
        }
        values = {"first": times[0], "second": times[1] - times[0]}
        for what, value in values.items():
            family = f"{what}, L = {len(start)}"
            yield Evidence("plateaus", family, given, value, error=error, seed=seed)


def _times(
    flow: GradientFlow, strengths: tuple[float, float], start: Layers
) -> tuple[list[float], float]:
    """When the loss says that half of the first and of the second mode is there, with an error."""
    first, second = (s**2 for s in strengths)
    run = flow.solve(
        dict(start),
        until=loss_below(second / 8),
        watch=loss_below(first / 8 + second / 2),
        save="norms",
        rtol=1e-12,
        skip=False,
        settings=Method(max_steps=10_000_000),
    )
    found = sorted(event.time for event in run.events)
    if len(found) < MODES:
        raise LawError(
            f"a run ended with {run.outcome.value} before its second mode",
            expected="both modes",
            fix="strengths that differ, and scales that are not smaller than the law's",
        )
    return found, float(run.error_estimate)


DEPTHS = (3, 4)
SOURCE = "flowtheory, docs/laws/deflate-and-restart"

LAW = Law(
    name="deflate-and-restart",
    title="second plateau of a deep linear network by deflation and restart",
    statements=(
        Statement("first mode", "derived", sp.Eq(first, FIRST), SOURCE, "up to O(1) in time"),
        Statement("second plateau", "derived", sp.Eq(plateau, SECOND), SOURCE,
                  "up to O(1) in time; T_2 from the layers without their top singular triples"),
        Statement("aligned and balanced", "derived", sp.Eq(plateau, ALIGNED), SOURCE,
                  "two modes of gain w_0 in every layer"),
    ),
    symbols=(
        SymbolInfo(first, "time at which the first mode has half its strength", "gain**(2 - 2*L)"),
        SymbolInfo(plateau, "time from there to half of the second mode", "gain**(2 - 2*L)"),
        SymbolInfo(T_1, "blow-up time of the leading flow from the start over eps",
                   "gain**(2 - 2*L)"),
        SymbolInfo(T_2, "blow-up time of the deflated flow from the deflated layers",
                   "gain**(2 - 2*L)"),
        SymbolInfo(eps, "scale of the start", "1"),
        SymbolInfo(L, "number of layers", "1"),
        SymbolInfo(s_1, "larger singular value of M", "gain**L"),
        SymbolInfo(s_2, "smaller singular value of M", "gain**L"),
        SymbolInfo(w_0, "gain of every layer at the start, in both modes", "gain"),
    ),
    assumptions=(),
    clock=Clock("sum", 1.0),
    experiments=(Experiment("plateaus", "random starts over scales", plateaus),),
    controls=(),
    claims=(
        Claim(
            "T_1 = T_1* eps^-(L-2) + O(1)", "plateaus",
            Slope(axis(FIRST), tolerance=1e-3), FIRST,
            {
                "a logarithm, as with two layers": T_1 * sp.log(1 / eps),
                "one power more": FIRST / eps,
                "factor 2": 2 * FIRST,
            },
            families=tuple(f"first, L = {depth}" for depth in DEPTHS), axis="eps",
        ),
        Claim(
            "T_2 - T_1 = T_2* eps^-(L-2) + O(1)", "plateaus",
            Slope(axis(SECOND), tolerance=1e-3), SECOND,
            {
                "restart from the first start": T_again * UNIT,
                "times as 1/s": FIRST * s_1 / s_2,
                "times as 1/s, less the first": FIRST * (s_1 / s_2 - 1),
                "a logarithm, as with two layers": sp.log(1 / eps) * (1 / s_2 - 1 / s_1),
            },
            families=tuple(f"second, L = {depth}" for depth in DEPTHS), axis="eps",
        ),
    ),
    not_shown=(
        "more than two modes; the deflation can be repeated, with layers known less well each time",
        "singular values that nearly agree: what is left of the layers converges as their "
        "ratio allows",
        "a proof that the limit exists for every start; the three growths agree to 1e-5",
    ),
    references=(
        "Z. Li, Y. Luo, K. Lyu. Towards resolving the implicit bias of gradient descent for matrix "
        "factorization: greedy low-rank learning. ICLR 2021. arXiv:2012.09839.",
    ),
    docs="docs/laws/deflate-and-restart.md",
    derive=derive,
)  # fmt: skip
