r"""Diagonal linear networks from a tiny start: which coordinates jump when.

$f = \sum_i u_i v_i x_i$ under the half mean square, $u = \sqrt2\,\alpha$, $v = 0$ at the start. In
units of $\ln(1/\alpha)$ the times of the descents tend to those that `exact.diagonal_jumps` finds
and differ from them by $O(1/\ln(1/\alpha))$. The flow is integrated in $p = (u + v)/\sqrt2$ and
$m = (u - v)/\sqrt2$, a rotation: $\beta = (p^2 - m^2)/2$ has the small one of the two by itself,
which would be lost to rounding in $u$ and $v$ below $\alpha = 10^{-8}$.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.exact.diagonal import DiagonalJumps, diagonal_jumps, follow
from flowtheory.flow.until import Until, loss_below
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import Derivation, Line, Network, custom, effective_flow
from flowtheory.symbolic.index import index, size, sum_over, tensor

T, alpha, eps = sp.symbols("T alpha epsilon", positive=True)
S, beta, C = sp.symbols("S beta C", real=True)
# Of the k-th jump: by the algorithm, and by three wrong ones.
JUMP, ALONE, RESTART, FREE = sp.symbols("tau alone restart free", positive=True)

LOG = sp.log(1 / alpha)
TIME = JUMP * LOG

_LEAST_GAP, _LEAST_DROP, _LONGEST = 0.12, 0.01, 12.0
_LEAST_POWER = 0.12  # 1e-24 to this power is 1e-3
SAMPLES, INPUTS = 8, 4
_TINY = 1e-23  # scales from which the rates of the times are compared


def rotated() -> Network:
    r"""The diagonal network in $p$ and $m$: $f_i = \frac12\sum_q (p_q^2 - m_q^2)\,x_{iq}$."""
    i, q, D, samples = index("i"), index("q"), size("D"), size("n")
    p, m, x = tensor("p", D)[q], tensor("m", D)[q], tensor("x", samples, D)[i, q]
    output = sum_over((p**2 - m**2) * x / 2, (q, D))
    return custom(
        output, [p, m], name="diagonal linear network, rotated", inputs=x, axes=((i, samples),)
    )


def derive() -> Derivation:
    """The exponents of p and m, what they make of a coordinate, and when it is of order 1."""
    flow = effective_flow(rotated(), "half_square", reduction="mean")
    (_, rate_p), (_, rate_m) = flow.field.components
    coefficient = ((alpha * sp.exp(S)) ** 2 - (alpha * sp.exp(-S)) ** 2) / 2
    t = sp.Symbol("t", positive=True)
    return Derivation(
        "Jumps of a diagonal linear network",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "p, m = (u +- v)/sqrt(2)"),
            Line("rate of p", sp.Eq(sp.Symbol("p'"), rate_p), "p times -dL/dbeta, at zero output"),
            Line("rate of m", sp.Eq(sp.Symbol("m'"), rate_m), "the opposite"),
            Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "a linear early flow"),
            Line(
                "coefficient",
                sp.Eq(beta, coefficient.rewrite(sp.sinh).simplify()),
                "at all times, S the integral of -dL/dbeta; p = m = alpha at the start",
            ),
            Line(
                "of order 1",
                sp.Eq(S / sp.log(1 / alpha), sp.limit(sp.asinh(t**2) / (2 * sp.log(t)), t, sp.oo)),
                "where beta = 1, alpha -> 0: at |S| = ln(1/alpha), whatever the size of beta",
            ),
            Line("time of a jump", sp.Eq(T, TIME), "tau: |S_i| reaches 1 in these units"),
        ),
    )


@dataclass(frozen=True, eq=False)
class _Design:
    """Data, their path, and the times by wrong algorithms."""

    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]
    path: DiagonalJumps
    alone: Float[np.ndarray, " K"]
    restart: Float[np.ndarray, " K"]
    free: Float[np.ndarray, " K"]
    family: str = ""

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> _Design | None:
        """None where jumps cannot be told apart, by times or drops, at any scale of the runs."""
        path = diagonal_jumps(x, y)
        drops = -np.diff(path.losses) / path.losses[0]
        gaps = np.diff(path.times)
        if gaps.min(initial=1.0) < _LEAST_GAP or drops.min() < _LEAST_DROP:
            return None
        if len(gaps) < 1 or path.times[-1] > _LONGEST or _remainder(x, path) < _LEAST_POWER:
            return None
        free = _padded(_unsigned(x, y), len(path.times))
        return cls(x, y, path, _decoupled(path), _restarted(path), free)

    @property
    def returns(self) -> bool:
        """Whether a coordinate goes back to zero, or the rule of signs matters otherwise."""
        return not np.allclose(self.free, self.path.times, rtol=0.05)


def _remainder(x: Float[np.ndarray, "n D"], path: DiagonalJumps) -> float:
    r"""The power of alpha below which what is left out of the limit falls.

    A coordinate that waits with $|S| < 1$ at a jump is of order $\alpha^{2(1 - |S|)}$ there, and
    what is left of a jump is $\alpha^{\mu\,\Delta\tau}$ at the next, $\mu$ the least rate at
    which the coordinates that are not zero settle: $\dot\beta = -2|\beta|\,\partial_\beta L$.
    """
    size = np.abs(path.integrals)
    powers = [2 * float(np.min(1 - size[size < 1 - 1e-9], initial=1.0))]
    moments = x.T @ x / len(x)
    for coefficients, wait in zip(path.coefficients[1:], np.diff(path.times), strict=False):
        on = np.flatnonzero(coefficients)
        root = np.sqrt(2 * np.abs(coefficients[on]))
        rates = np.linalg.eigvalsh(root[:, None] * moments[np.ix_(on, on)] * root)
        powers.append(float(rates[0] * wait))
    return min(powers)


def _decoupled(path: DiagonalJumps) -> Float[np.ndarray, " K"]:
    """Every coordinate at 1/|z_i|, whatever the others do."""
    times = np.sort(1 / np.abs(path.slopes[0]))
    return _padded(times, len(path.times))


def _restarted(path: DiagonalJumps) -> Float[np.ndarray, " K"]:
    """Orthogonal matching pursuit: at every saddle all the others start anew."""
    return np.cumsum(1 / np.abs(path.slopes[:-1]).max(axis=1))


def _unsigned(x: Float[np.ndarray, "n D"], y: Float[np.ndarray, " n"]) -> np.ndarray:
    """Least squares over the coordinates that have jumped, of either sign."""

    def minimizer(signs: Float[np.ndarray, " D"]) -> Float[np.ndarray, " D"]:
        on = np.flatnonzero(signs)
        coefficients = np.zeros(x.shape[1])
        coefficients[on] = np.linalg.lstsq(x[:, on], y)[0]
        return coefficients

    return follow(x, y, minimizer).times


def _padded(times: np.ndarray, number: int) -> np.ndarray:
    """As many times as there are jumps; the last one stands for those that do not come."""
    return np.append(times, np.full(number, times[-1]))[:number]


def _designs(settings: Settings) -> Iterator[_Design]:
    """Random designs with correlated columns: some plain, some in which a sign matters."""
    wanted = settings.effort.pick(
        {"plain": 1, "signs": 1}, {"plain": 2, "signs": 2}, {"plain": 3, "signs": 4}
    )
    rng = np.random.default_rng([settings.seed, 18])
    done = dict.fromkeys(wanted, 0)
    while done != wanted:
        x = rng.standard_normal((SAMPLES, INPUTS)) @ rng.uniform(-1, 1, (INPUTS, INPUTS))
        x /= np.linalg.norm(x, axis=0) / math.sqrt(SAMPLES)
        if np.linalg.cond(x) > 6:
            continue
        y = x @ rng.standard_normal(INPUTS) + 0.1 * rng.standard_normal(SAMPLES)
        found = _Design.of(x, y / np.linalg.norm(y) * math.sqrt(SAMPLES))
        if found is None:
            continue
        kind = "signs" if found.returns else "plain"
        if done[kind] < wanted[kind]:
            done[kind] += 1
            yield replace(found, family=f"{kind} {done[kind]}")


def jumps(settings: Settings) -> Iterator[Evidence]:
    """The times half-way through every descent, at falling scales."""
    exponents = settings.effort.pick(
        (24, 40, 60),
        (6, 10, 14, 24, 40, 60, 100),
        (6, 8, 10, 14, 20, 24, 40, 60, 80, 100, 120, 140),
    )
    for design in _designs(settings):
        flow = GradientFlow(rotated(), "half_square", reduction="mean", x=design.x, y=design.y)
        before: list[Evidence] = []
        for exponent in exponents:
            now = list(_run(flow, design, 10.0**-exponent, settings.seed))
            yield from now
            yield _rest(design.family, now)
            if before and before[0]["alpha"] <= _TINY:
                yield from map(_rate, before, now)
            before = now
        settings.progress(f"design {design.family}", 1, 1)


def _run(flow: GradientFlow, design: _Design, scale: float, seed: int) -> Iterator[Evidence]:
    """The rows of one run: the time of every jump."""
    start = {name: np.full(INPUTS, scale) for name in ("p", "m")}
    levels = (design.path.losses[1:] + design.path.losses[:-1]) / 2
    *watched, last = (loss_below(float(level)) for level in levels)
    run = flow.solve(
        start,
        until=last,
        watch=Until(tuple(one for each in watched for one in each.events)),
        save="norms",
        skip=False,
        rtol=1e-9,
    )
    times = sorted(event.time for event in run.events)
    for k, (time, jump) in enumerate(zip(times, design.path.times, strict=True)):
        parameters = {
            "alpha": scale,
            "tau": float(jump),
            "alone": float(design.alone[k]),
            "restart": float(design.restart[k]),
            "free": float(design.free[k]),
        }
        family = f"{design.family}, jump {k + 1}"
        error = float(run.error_estimate)
        yield Evidence("jumps", family, parameters, time, error=error, seed=seed)


def _rest(family: str, rows: list[Evidence]) -> Evidence:
    """How far the times of all jumps, in units of the logarithm, are from their limits."""
    log = math.log(1 / rows[0]["alpha"])
    off = math.hypot(*(row.measured / log - row["tau"] for row in rows))
    error = math.hypot(*(row.error for row in rows)) / log
    return replace(rows[-1], family=f"rest: {family}", measured=off, error=error)


def _rate(before: Evidence, now: Evidence) -> Evidence:
    """What a time grows by for a unit of the logarithm."""
    logs = math.log(before["alpha"] / now["alpha"])
    grown, error = now.measured - before.measured, now.error + before.error
    return replace(now, family="rate: " + now.family, measured=grown / logs, error=error / logs)


def _of(kind: str) -> tuple[str, ...]:
    return tuple(
        f"{kind}{design} {number}, jump {k}"
        for design in ("plain", "signs")
        for number in range(1, 5)
        for k in range(1, 4**INPUTS)
    )


_HALF = len(_of("")) // 2

LAW = Law(
    name="diagonal-jumps",
    title="jumps of a diagonal linear network between saddles",
    statements=(
        Statement(
            "times", "published", sp.Eq(T, JUMP * -sp.log(eps), evaluate=False),
            "Pesme, Flammarion, NeurIPS 2023, arXiv:2304.00488",
            "up to o(ln(1/alpha)); tau of each jump is that of their algorithm",
        ),
        Statement(
            "rest", "derived", sp.Eq(T + JUMP * sp.log(eps), C, evaluate=False),
            "flowtheory, docs/laws/diagonal-jumps",
            "up to o(1): a constant for each jump, so that T/ln(1/alpha) is off by C/ln(1/alpha)",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time of a jump", "1/rate"),
        SymbolInfo(JUMP, "time of the jump in the limit, in units of ln(1/alpha)", "1/rate"),
        SymbolInfo(eps, "alpha, the scale of the initialization", "1"),
        SymbolInfo(C, "constant of the jump", "1/rate"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(Experiment("jumps", "random designs with correlated columns", jumps),),
    controls=(),
    claims=(
        Claim(
            "dT/dln(1/alpha) = tau", "jumps", Equality(5e-3), JUMP,
            {
                "every coordinate by itself, 1/|z_i|": ALONE,
                "a new start at every saddle, by correlation": RESTART,
                "half the time": JUMP / 2,
            },
            families=_of("rate: "), axis="tau",
        ),
        Claim(
            "coordinates keep the sign with which they jumped", "jumps", Equality(5e-3), JUMP,
            {"least squares without signs": FREE}, families=_of("rate: ")[_HALF:], axis="tau",
        ),
        Claim(
            "T = tau ln(1/alpha) + O(1)", "jumps", Slope(axis(TIME), tolerance=5e-3), TIME,
            {"twice": 2 * TIME, "half": TIME / 2},
            families=_of(""), axis="alpha",
        ),
        Claim(
            "T/ln(1/alpha) - tau falls as 1/ln(1/alpha)", "jumps",
            Slope(axis(sp.log(LOG)), tolerance=0.05, log=True), 1 / LOG,
            {"as its square": LOG**-2, "as its root": 1 / sp.sqrt(LOG)},
            families=tuple(f"rest: {kind} {k}" for kind in ("plain", "signs") for k in range(1, 5)),
        ),
    ),
    varied=("alpha", "tau"),
    not_shown=(
        "data that are not in general position, where two coordinates jump together, or so near "
        "to that that the limit is not seen at the scales of the runs",
        "starts that differ between coordinates: the ends +-1 of S then do so as well",
        "depth above two, where the times are powers of the scale",
    ),
    references=(
        "S. Pesme, N. Flammarion. Saddle-to-saddle dynamics in diagonal linear networks. NeurIPS "
        "2023. arXiv:2304.00488.",
    ),
    docs="docs/laws/diagonal-jumps.md",
    derive=derive,
)  # fmt: skip
