r"""Low-rank adaptation with the usual start, $B = 0$ and $A$ small: times of its modes.

$f(x) = (W_0 + BA)x$ on whitened data whose target is $(W_0 + \Delta)x$, with singular values $s_i$
of $\Delta$: mode $i$ is learned at $T_i = \ln(1/\alpha)/s_i + O(1)$. If the columns of $A$ are
orthogonal in the frame of $\Delta$, the modes decouple into $\dot a = b(s - ab)$,
$\dot b = a(s - ab)$ with $a^2 - b^2 = \alpha^2$, and the time has a closed form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.engine.run import Run
from flowtheory.flow.until import Until, loss_below
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import Derivation, Line, effective_flow, lora

T, s, s_1, sums = sp.symbols("T s s_1 sums", positive=True)
alpha, u, delta = sp.symbols("alpha u delta", positive=True)

_K = sp.sqrt(4 * s**2 + alpha**4)
_Y = u + sp.sqrt(u**2 + alpha**4 / 4)

TIME = sp.log(1 / alpha) / s

# Twice the roots y_+ and -y_- of the Riccati equation; y_- is not written as a difference.
_HIGH = 2 * s + _K
_LOW = alpha**4 / _HIGH


def _fraction(y: sp.Expr) -> sp.Expr:
    """(y - y_-)/(y_+ - y), which grows as exp(K t)."""
    return (2 * y + _LOW) / (_HIGH - 2 * y)


EXACT = sp.log(_fraction(_Y) / _fraction(alpha**2 / 2)) / _K
r"""Time in which $u = ab$ goes from 0 to $u$: the integral of
$du/((s - u)\sqrt{\alpha^4 + 4u^2})$."""


def _logistic(start: sp.Expr) -> sp.Expr:
    """Balanced layers: du/(2 u (s - u)) from `start` to u."""
    return sp.log(u * (s - start) / (start * (s - u))) / (2 * s)


VALUES = (2.0, 1.2, 0.5)
"""Singular values of the update."""

RANK = 4


def derive() -> Derivation:
    """Rates at the start, the decoupled mode, its Riccati equation and its time."""
    flow = effective_flow(lora(), "half_square", reduction="mean")
    a, b, y = sp.symbols("a b y", positive=True)
    speed = (s - u) * sp.sqrt(alpha**4 + 4 * u**2)
    return Derivation(
        "Times of the modes of a low-rank update",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "W0 is given"),
            Line("leading part", sp.Eq(sp.Symbol("H"), flow.potential), "c = y - W0 x"),
            Line(
                "rates",
                sp.Eq(sp.Symbol("lambda"), flow.linearization.parts[0][0]),
                "singular values of sum of c x^T: those of the update where inputs are whitened",
            ),
            Line("mode", sp.Eq(sp.Symbol("a'"), b * (s - a * b)), "b' = a (s - a b), b(0) = 0"),
            Line("conserved", sp.Eq(a**2 - b**2, alpha**2), "not balanced"),
            Line("strength", sp.Eq(sp.Symbol("u'"), speed), "u = a b, (a^2 + b^2)^2 by the above"),
            Line(
                "Riccati equation",
                sp.Eq(sp.Symbol("y'"), sp.expand(2 * y * (s - y / 2 + alpha**4 / (8 * y)))),
                "y = u + sqrt(u^2 + alpha^4/4)",
            ),
            Line("time", sp.Eq(T, EXACT), "from u = 0 to u"),
            Line("small start", sp.Eq(T, TIME), "up to O(1)"),
            Line(
                "offset",
                sp.Eq(sp.Symbol("C"), sp.limit(EXACT - TIME, alpha, 0)),
                "T - ln(1/alpha)/s, alpha -> 0",
            ),
        ),
    )


class _Task(NamedTuple):
    """An update in some frame; inputs are columns of the identity, scaled to be whitened."""

    left: Float[np.ndarray, "C C"]
    right: Float[np.ndarray, "D D"]
    flow: GradientFlow

    @classmethod
    def of(cls, rng: np.random.Generator | None) -> _Task:
        """In a random frame, or without a generator in that of the coordinates."""
        n = len(VALUES)
        left, right = (
            (np.eye(n), np.eye(n))
            if rng is None
            else (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
        )
        given = np.zeros((n, n)) if rng is None else rng.standard_normal((n, n))
        x = np.sqrt(n) * np.eye(n)
        y = x @ (given + left @ np.diag(VALUES) @ right.T).T
        return cls(
            left, right, GradientFlow(lora(), "half_square", reduction="mean", x=x, y=y, W0=given)
        )

    def solve(self, A: Float[np.ndarray, "R D"], share: float, last: int, rtol: float) -> Run:
        """From B = 0 until mode `last` has a share of its value, as the loss tells it."""
        squares = np.array(VALUES) ** 2 / 2
        after = np.append(np.cumsum(squares[::-1])[::-1][1:], 0.0)
        *watched, end = (
            loss_below(float(rest + (1 - share) ** 2 * own))
            for rest, own in zip(after[: last + 1], squares[: last + 1], strict=True)
        )
        start: Params = {"A": A, "B": np.zeros((len(VALUES), A.shape[0]))}
        watch = Until(tuple(one for each in watched for one in each.events))
        return self.flow.solve(start, until=end, watch=watch, save="norms", skip=False, rtol=rtol)


def modes(settings: Settings) -> Iterator[Evidence]:
    """Half-way times of all modes at falling scales, from a Gaussian A."""
    exponents = settings.effort.pick(
        (6, 10, 20, 40), (6, 10, 20, 40, 60), (6, 8, 10, 14, 20, 30, 40, 60, 80, 100)
    )
    starts = settings.effort.pick(1, 3, 6)
    # In the frame of the coordinates no entry of A is a sum in which a small mode would be lost.
    task = _Task.of(None)
    rng = np.random.default_rng([settings.seed, 21])
    for k in range(starts):
        unit = rng.standard_normal((RANK, len(VALUES)))
        for exponent in exponents:
            yield from _rows("modes", f"start {k + 1}", task, unit, 10.0**-exponent, settings)
        settings.progress("modes", k + 1, starts)


def frames(settings: Settings) -> Iterator[Evidence]:
    """An update in a random frame, a matrix W0, a Gaussian A."""
    exponents = settings.effort.pick((4, 5, 6), (4, 5, 6, 7), (4, 5, 6, 7, 8))
    rng = np.random.default_rng([settings.seed, 22])
    for k in range(settings.effort.pick(1, 2, 4)):
        task = _Task.of(rng)
        unit = rng.standard_normal((RANK, len(VALUES)))
        for exponent in exponents:
            yield from _rows("frames", f"frame {k + 1}", task, unit, 10.0**-exponent, settings)


def _rows(
    experiment: str,
    family: str,
    task: _Task,
    unit: np.ndarray,
    scale: float,
    settings: Settings,
) -> Iterator[Evidence]:
    run = task.solve(scale * unit, 0.5, len(VALUES) - 1, 1e-9)
    times = sorted(event.time for event in run.events)
    for k, (time, value) in enumerate(zip(times, VALUES, strict=True)):
        parameters = {
            "alpha": scale,
            "s": value,
            "s_1": VALUES[0],
            "sums": float(np.sum(1 / np.array(VALUES[: k + 1]))),
        }
        error = float(run.error_estimate)
        name = f"{family}, s = {value:g}"
        yield Evidence(experiment, name, parameters, time, error=error, seed=settings.seed)


def aligned(settings: Settings) -> Iterator[Evidence]:
    """Orthogonal columns of A: the modes decouple, from starts of any size."""
    scales = settings.effort.pick(
        (1e-8, 1e-2, 0.5), (1e-12, 1e-8, 1e-4, 0.1, 0.5), 0.5 * 10.0 ** np.linspace(-60, 0, 16)
    )
    rng = np.random.default_rng([settings.seed, 23])
    task = _Task.of(None)
    for k, scale in enumerate(scales):
        mixed = np.linalg.qr(rng.standard_normal((RANK, len(VALUES))))[0]
        for last in range(len(VALUES)):
            run = task.solve(float(scale) * mixed, 0.8, last, 1e-11)
            yield from _exact_rows(run, float(scale), settings)
        settings.progress("aligned", k + 1, len(scales))


def _exact_rows(run: Run, scale: float, settings: Settings) -> Iterator[Evidence]:
    """A row for every mode that is on its way when the run ends: u tells the time."""
    strengths = np.diag(run.params["B"] @ run.params["A"])
    for value, strength in zip(VALUES, strengths, strict=True):
        if 0.05 < strength / value < 0.95:
            parameters = {"alpha": scale, "s": value, "u": float(strength)}
            error = float(run.error_estimate)
            name = f"s = {value:g}"
            yield Evidence("aligned", name, parameters, run.t_end, error=error, seed=settings.seed)


_ALONG = Slope(axis(TIME), tolerance=2e-3)
_WRONG = {
    "twice the rate": TIME / 2,
    "one time for all": sp.log(1 / alpha) / s_1,
    "one after the other": sums * sp.log(1 / alpha),
}

LAW = Law(
    name="lora-times",
    title="times of the modes of a low-rank adaptation",
    statements=(
        Statement(
            "times", "derived", sp.Eq(T, -sp.log(alpha) / s, evaluate=False),
            "flowtheory, docs/laws/lora-times",
            "up to O(1) as alpha -> 0, any A of full rank; setting of Xu et al., arXiv:2503.06982",
        ),
        Statement(
            "orthogonal columns", "derived",
            sp.Eq(T, EXACT.xreplace({alpha: sp.sqrt(delta)}), evaluate=False),
            "flowtheory, docs/laws/lora-times",
            "exact; delta = alpha^2, the difference a^2 - b^2 that is conserved",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time at which the mode has the strength u", "1/strength"),
        SymbolInfo(s, "singular value of the update", "strength"),
        SymbolInfo(u, "strength of the mode, a product of gains of B and A", "strength"),
        SymbolInfo(alpha, "scale of A; B starts at 0", "1"),
        SymbolInfo(delta, "squared length of a column of A at the start", "strength"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("modes", "Gaussian A, several modes, falling scale", modes),
        Experiment("frames", "the same in random frames, on top of a matrix", frames),
        Experiment("aligned", "A with orthogonal columns", aligned),
    ),
    controls=(),
    claims=(
        Claim(
            "T = ln(1/alpha)/s + O(1)", "modes", _ALONG, TIME, _WRONG, axis="alpha",
        ),
        Claim(
            "any frame: T = ln(1/alpha)/s + O(1)", "frames", _ALONG, TIME, _WRONG, axis="alpha",
        ),
        Claim(
            "orthogonal columns: T in closed form", "aligned", Equality(1e-8), EXACT,
            {
                "balanced start of the same norm": _logistic(alpha**2 / 2),
                "balanced start, both factors of scale alpha": _logistic(alpha**2),
                "logarithm alone": TIME,
            },
            axis="alpha",
        ),
    ),
    varied=("alpha", "s"),
    not_shown=(
        "inputs that are not whitened, where the modes of the moment are not those of the update",
        "a rank below the number of modes, which ends at the best approximation of that rank",
        "the constant in O(1) of a Gaussian A, which depends on the whole of A",
    ),
    references=(
        "Z. Xu et al. Low-rank adaptation under gradient flow. arXiv:2503.06982 (2025).",
        "E. Hu et al. LoRA: low-rank adaptation of large language models. arXiv:2106.09685 (2021).",
    ),
    docs="docs/laws/lora-times.md",
    derive=derive,
)  # fmt: skip
