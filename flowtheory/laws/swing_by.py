r"""Swing-by: the off-diagonal entries of $UU^T$ rise with the first mode and fall after it.

$f(x) = UU^Tx$ is to be the identity on inputs with the covariance $\mathrm{diag}(a_1 > a_2)$. At
small scale $w_{ij} = (UU^T)_{ij}$ grows at $2(a_i + a_j)$; once $w_{11} = 1$, $w_{12}$ decays at
$a_1 - a_2$ while $w_{22}$ goes on at $4a_2$. So $|w_{12}|$ has a maximum, of the power
$1 - a_2/a_1$ of the scale with a known constant, and the loss off the training
distribution is not monotone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.flow.settings import Settings as Method
from flowtheory.judge import Equality, Evidence
from flowtheory.laws.claim import Claim
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import Derivation, Line, custom, effective_flow
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.network import Network

a_1, a_2, c_11, c_12, eps = sp.symbols("a_1 a_2 c_11 c_12 eps", positive=True)
a_i, a_j = sp.symbols("a_i a_j", positive=True)
early, late, second = sp.symbols("lambda_early lambda_late lambda_22", real=True)
peak = sp.Symbol("w_max", positive=True)

EARLY = 2 * (a_i + a_j)
LATE = -(a_1 - a_2)
SECOND = 4 * a_2
POWER = 1 - a_2 / a_1
# w_12 = C u^RISE (1 - u)^FALL along u = w_11, largest at TOP.
RISE, FALL = (a_1 + a_2) / (2 * a_1), (a_1 - a_2) / (4 * a_1)
TOP = 2 * (a_1 + a_2) / (3 * a_1 + a_2)
SHAPE = TOP**RISE * (1 - TOP) ** FALL
PEAK = eps**POWER * c_12 / c_11**RISE * SHAPE

MODES, WIDTH = 2, 3


def product(params: Mapping[str, Any], x: Any) -> Any:
    """f = U U^T x, with one tolerance for each row of U: a dormant row keeps its accuracy."""
    return x @ params["U"] @ params["U"].T


def tied() -> Network:
    """The same network in index notation."""
    i, j, p, q, n, h, D = (*map(index, "ijpq"), *map(size, "nhD"))
    U, x = tensor("U", D, h), tensor("x", n, D)[i, p]
    inner = sum_over(U[p, j] * x, (p, D))
    output = sum_over(U[q, j] * inner, (j, h))
    return custom(output, [U[q, j]], name="U U^T", inputs=x, axes=((i, n), (q, D)))


def matrix_rate() -> sp.Matrix:
    r"""$\dot W = -(KW + WK)$, $K = (W - 1)A + A(W - 1)$, for two modes."""
    w = sp.Matrix(2, 2, sp.symbols("w_11 w_12 w_12 w_22"))
    A, rest = sp.diag(a_1, a_2), w - sp.eye(2)
    K = rest * A + A * rest
    return -(K * w + w * K)


def derive() -> Derivation:
    """The leading flow of the engine; the rates from the flow of the product."""
    flow = effective_flow(tied(), "half_square")
    w_11, w_12, w_22 = sp.symbols("w_11 w_12 w_22")
    rate: Any = matrix_rate()
    small: Any = {s: sp.Symbol("delta") * s for s in (w_11, w_12, w_22)}
    linear = rate.subs(small, simultaneous=True).diff(sp.Symbol("delta")).subs("delta", 0)
    # Both rates are linear in w_12 and free of w_22 to this order.
    path = sp.apart(sp.cancel(rate[0, 1] / (w_12 * rate[0, 0])).subs({w_12: 0, w_22: 0}), w_11)
    after = rate[0, 1].subs(w_11, 1).diff(w_12).subs({w_12: 0, w_22: 0})
    return Derivation(
        "Swing-by of a symmetric factorization",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "both layers are U"),
            Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "growth is exponential"),
            Line("leading part", sp.Eq(sp.Symbol("H"), flow.potential), "y = x"),
            Line("early, first mode", sp.Eq(sp.Symbol("w_11'"), sp.factor(linear[0, 0])), ""),
            Line("early, off the diagonal", sp.Eq(sp.Symbol("w_12'"), sp.factor(linear[0, 1])), ""),
            Line("then", sp.Eq(late, sp.expand(after)), "w_11 = 1, w_12 and w_22 small"),
            Line("along the first mode", sp.Eq(sp.Symbol("dlnw_12/du"), path), "u = w_11"),
            Line("largest", sp.Eq(peak, PEAK), "w_ij = eps^2 c_ij at the start"),
        ),
    )


def fields(settings: Settings) -> Iterator[Evidence]:
    """Rates of the entries at small random U in five dimensions, by the field of the full loss."""
    rng = np.random.default_rng(settings.seed)
    strengths = rng.uniform(0.3, 2.0, 5)
    flow = _flow(strengths)
    for _ in range(settings.effort.pick(2, 6, 30)):
        U = 1e-6 * rng.standard_normal((5, 4))
        change = flow.vector_field({"U": U})["U"] @ U.T
        rates = (change + change.T) / (U @ U.T)
        for i in range(5):
            for j in range(i + 1):
                where = "diagonal" if i == j else "off the diagonal"
                given = {"a_i": float(strengths[i]), "a_j": float(strengths[j])}
                yield Evidence("fields", where, given, float(rates[i, j]), seed=settings.seed)


def _flow(strengths: Float[np.ndarray, " D"]) -> GradientFlow:
    """Inputs with the second moments `strengths`, as one sample each, to be reproduced."""
    x = np.diag(np.sqrt(strengths))
    return GradientFlow(product, "half_square", x=x, y=x)


def runs(settings: Settings) -> Iterator[Evidence]:
    """Two modes from random starts: before, while and after the first is learnt."""
    rng = np.random.default_rng([settings.seed, 1])
    smallest, count = settings.effort.pick((18, 4), (20, 6), (24, 8))
    scales = 10.0 ** -np.linspace(12, smallest, count)
    repeats = settings.effort.pick(2, 5, 20)
    for done in range(repeats):
        first = float(rng.uniform(0.7, 2.0))
        strengths = np.array([first, first * float(rng.uniform(0.45, 0.65))])
        flow, direction = _flow(strengths), rng.standard_normal((MODES, WIDTH))
        for scale in scales:
            yield from _run(flow, strengths, scale * direction, float(scale), settings.seed)
        settings.progress("swing-by", done + 1, repeats)


def _run(
    flow: GradientFlow,
    strengths: Float[np.ndarray, " D"],
    start: Float[np.ndarray, "D h"],
    scale: float,
    seed: int,
) -> Iterator[Evidence]:
    """The rows of one run: |w_12| early and late, w_22 - w_12^2/w_11 late, the largest |w_12|."""
    # When each mode would reach 1, growing as it begins.
    one, two = -np.log(np.sum(start**2, axis=1)) / (4 * strengths)
    spread = 2 / strengths[0]
    parts = {
        "early": one * np.array([0.1, 0.6]),
        "maximum": np.linspace(one - spread, one + spread, 161),
        # Both 1 - w_11 and w_22 are below 1e-4 there.
        "late": one + (two - one) * np.array([0.3, 0.5]),
    }
    times = np.concatenate(list(parts.values()))
    run = flow.solve(
        {"U": start},
        t_end=float(times.max()),
        times=np.unique(times),
        save="parameters",
        rtol=1e-12,
        settings=Method(method="dopri8"),
    )
    at = np.searchsorted(run.times, times * (1 - 1e-14))
    U = run.observables["U"][at]
    off, first = np.abs(np.sum(U[:, 0] * U[:, 1], axis=1)), np.sum(U[:, 0] ** 2, axis=1)
    # Rows that began nearly parallel: most of the second turns back with w_12, and is no mode.
    small = np.sum(U[:, 1] ** 2, axis=1) - off**2 / first
    squares = (start / scale) @ (start / scale).T
    given = {
        "a_1": float(strengths[0]),
        "a_2": float(strengths[1]),
        "a_i": float(strengths[0]),
        "a_j": float(strengths[1]),
        "eps": scale,
        "c_11": float(squares[0, 0]),
        "c_12": float(abs(squares[0, 1])),
    }
    found = {
        "w_12, early": _rate(times[:2], off[:2]),
        "largest w_12": _largest(off[2:-2]),
        "w_12, late": _rate(times[-2:], off[-2:]),
        "w_22, late": _rate(times[-2:], small[-2:]),
    }
    for family, value in found.items():
        yield Evidence("runs", family, given, value, seed=seed)


def _rate(times: Float[np.ndarray, " 2"], values: Float[np.ndarray, " 2"]) -> float:
    """The mean rate of growth between two times."""
    return float(np.diff(np.log(values))[0] / np.diff(times)[0])


def _largest(values: Float[np.ndarray, " k"]) -> float:
    """The maximum of a smooth function sampled evenly, by a parabola through its logarithm."""
    top = int(np.argmax(values))
    a, b, c = np.log(values[top - 1 : top + 2])
    return float(np.exp(b - (c - a) ** 2 / (8 * (a - 2 * b + c))))


SOURCE = "flowtheory, docs/laws/swing-by"

LAW = Law(
    name="swing-by",
    title="swing-by of a symmetric factorization",
    statements=(
        Statement("early", "derived", sp.Eq(early, EARLY), SOURCE, "w_ij small; 4 a_i for i = j"),
        Statement("late", "derived", sp.Eq(late, LATE), SOURCE, "w_12 once w_11 = 1, w_22 small"),
        Statement("second mode", "derived", sp.Eq(second, SECOND), SOURCE,
                  "w_22, less what turns back with w_12, all the while"),
        Statement("largest", "derived", sp.Eq(peak, PEAK), SOURCE, "up to a power of eps"),
    ),
    symbols=(
        SymbolInfo(early, "rate of w_ij at the start", "1/time"),
        SymbolInfo(late, "rate of w_12 between the modes", "1/time"),
        SymbolInfo(second, "rate of w_22 - w_12^2/w_11 until it is learnt", "1/time"),
        SymbolInfo(peak, "largest |w_12|", "1"),
        SymbolInfo(c_11, "w_11 at the start, over eps^2", "1"),
        SymbolInfo(c_12, "|w_12| at the start, over eps^2", "1"),
        SymbolInfo(eps, "scale of the start", "1"),
        SymbolInfo(a_i, "second moment of the input i", "1/time"),
        SymbolInfo(a_j, "second moment of the input j", "1/time"),
        SymbolInfo(a_1, "the larger of the second moments", "1/time"),
        SymbolInfo(a_2, "the smaller of the second moments", "1/time"),
    ),
    assumptions=(),
    clock=Clock("sum", 1.0),
    experiments=(
        Experiment("fields", "rates at small random parameters", fields),
        Experiment("runs", "two modes from random starts", runs),
    ),
    controls=(),
    claims=(
        Claim(
            "w_ij' = 2 (a_i + a_j) w_ij", "fields", Equality(1e-6), EARLY,
            {
                "half of it": EARLY / 2,
                "the geometric mean": 4 * sp.sqrt(a_i * a_j),
                "the difference": 2 * sp.Abs(a_i - a_j),
            },
            axis="a_i",
        ),
        Claim(
            "early, w_12 grows at 2 (a_1 + a_2)", "runs", Equality(1e-3), EARLY,
            {"half of it": EARLY / 2, "with the first mode": 4 * a_1, "with the second": 4 * a_2},
            families=("w_12, early",), axis="eps",
        ),
        Claim(
            "after the first mode w_12 decays at a_1 - a_2", "runs", Equality(1e-3), LATE,
            {
                "it rises as fast": -LATE,
                "twice as fast": 2 * LATE,
                "at the sum": -(a_1 + a_2),
                "it stays": sp.Integer(0),
            },
            families=("w_12, late",), axis="eps",
        ),
        Claim(
            "w_22 goes on at 4 a_2", "runs", Equality(1e-3), SECOND,
            {"half of it": SECOND / 2, "slowed by the first mode": SECOND + LATE},
            families=("w_22, late",), axis="eps",
        ),
        Claim(
            "the largest w_12, of order eps^(1 - a_2/a_1)", "runs", Equality(1e-4), PEAK,
            {
                "of the order of the scale": PEAK * eps ** (a_2 / a_1),
                "twice the power": PEAK * eps**POWER,
                "without saturation": PEAK / SHAPE,
                "at half of the first mode": PEAK / SHAPE * sp.Rational(1, 2) ** (RISE + FALL),
            },
            families=("largest w_12",), axis="eps",
        ),
    ),
    not_shown=(
        "moments that nearly agree: the two stages then overlap",
        "more than two modes in a run, and the loss off the training distribution itself",
        "other networks than the symmetric product",
    ),
    references=(
        "Y. Yang et al. Swing-by dynamics in concept learning and compositional generalization. "
        "2024. arXiv:2410.08309.",
    ),
    docs="docs/laws/swing-by.md",
    derive=derive,
)  # fmt: skip
