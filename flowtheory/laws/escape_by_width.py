r"""The escape from small weights, in the width, both scales of the start and the fraction fitted.

Multiplicity 1: with $\lambda = c_1|z|/\alpha$ every neuron grows as $e^{\lambda t}$, and the
output along $z$ reaches the fraction $q$ of its limit at the time of
`flowtheory.symbolic.escape_time`. For whitened inputs and a linear activation that time is found in
closed form without the assumption that the start is small.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.flow.until import loss_below
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.phase.data import samples
from flowtheory.symbolic import Derivation, Line, fully_connected
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import (
    ALPHA,
    COEFFICIENT,
    CURVATURE,
    EPSILON,
    FRACTION,
    MOMENT,
    NU,
    WIDTH,
    escape_time,
)

T, r, u = (sp.Symbol(name, positive=True) for name in ("T", "r", "u"))
m, nu, eps, q, z = WIDTH, NU, EPSILON, FRACTION, MOMENT

# alpha = 1 and activations with slope 1 at 0.
LEADING: Expr = escape_time().expression.xreplace(
    {ALPHA: sp.Integer(1), COEFFICIENT: sp.Integer(1)}
)
# The output of the start's second moment over its limit: r -> 0 is a small start.
RATIO = m * (nu**2 + eps**2) / (2 * z)
RATE: Expr = 2 * z * (1 - u) * sp.sqrt(u**2 + r**2)
EXACT: Expr = (sp.asinh((q + r**2) / (r * (1 - q))) - sp.asinh(r)) / (2 * z * sp.sqrt(1 + r**2))

WIDE = 1024
PASSED: Expr = EXACT.xreplace({r: RATIO})


def derive() -> Derivation:
    """The growth of a neuron, the output, and the time with and without a small start."""
    a0, w0, s = sp.symbols("a_0 w_0 s")
    return Derivation(
        "Escape of a two-layer network of multiplicity 1",
        (
            Line("output weight", sp.Eq(sp.Symbol("a"), a0 * sp.cosh(s) + w0 * sp.sinh(s)), ""),
            Line("input weight along z", sp.Eq(sp.Symbol("w"), w0 * sp.cosh(s) + a0 * sp.sinh(s)),
                 "s is the integral of the residual along z"),
            Line("start", sp.Eq(r, RATIO), "m <a w>/|z| is r sinh(2 s)"),
            Line("fraction", sp.Eq(sp.Symbol("u'"), RATE), "u = r sinh(2 s), s' = |z| (1 - u)"),
            Line("time", sp.Eq(T, EXACT), "the integral of 1/u' from 0 to q; whitened inputs"),
            Line("small start", sp.Eq(T, LEADING), "r -> 0, any second moment S along z"),
        ),
    )  # fmt: skip


@cache
def _flow(activation: str, data: str) -> GradientFlow:
    x, y = samples(data)
    return GradientFlow(fully_connected(2, activation), "half_mse", x=x, y=y)


@cache
def _moments(data: str) -> tuple[float, float, float]:
    """|z|, S, and the loss of zero output."""
    x, y = samples(data)
    along = x.T @ y / len(y)
    size = float(np.linalg.norm(along))
    second = float(along @ (x.T @ x / len(y)) @ along) / size**2
    return size, second, float(np.mean(y**2)) / 2


def _start(
    scales: tuple[float, float], width: int, seed: int, whitened: bool
) -> dict[str, np.ndarray]:
    """Pairs (a, w), (-a, w): zero output, and no correlation of a and w.

    Whitened, the second moments are those of the distribution, as in the limit of large width.
    """
    rng = np.random.default_rng([seed, width])
    w, a = rng.standard_normal((width // 2, 3)), rng.standard_normal(width // 2)
    if whitened:
        w = np.sqrt(len(w)) * np.linalg.qr(w)[0]
        a /= np.sqrt(np.mean(a**2))
    W, v = np.concatenate([w, w]), np.concatenate([a, -a])
    return {"W": scales[1] * W, "v": scales[0] * v}


def _escape(
    experiment: str, case: tuple[str, str], scales: tuple[float, float], at: tuple[int, float, int]
) -> Evidence:
    """One run until the output along z is the fraction q of its limit, by the loss."""
    (activation, data), (width, fraction, seed) = case, at
    size, second, whole = _moments(data)
    # The output v = q z/S alone along z: the loss falls by |z|^2 (q - q^2/2)/S.
    gain = size**2 * (fraction - fraction**2 / 2) / second
    start = _start(scales, width, seed, whitened=experiment != "width")
    run = _flow(activation, data).solve(
        start, until=loss_below(whole - gain), save=None, rtol=1e-10
    )
    return Evidence(
        experiment=experiment,
        family=f"{activation}, {data}",
        parameters={
            "m": width, "nu": scales[0], "epsilon": scales[1], "q": fraction, "z": size, "S": second
        },
        measured=run.t_end,
        error=float(run.error_estimate),
    )  # fmt: skip


def absolute(settings: Settings) -> Iterator[Evidence]:
    """Whitened inputs and start, tanh, both scales and the fraction at random."""
    rng = np.random.default_rng([settings.seed, 3])
    for k in range(settings.effort.pick(12, 40, 120)):
        nu_k, eps_k = 10.0 ** rng.uniform(-9, -5, 2)
        at = (WIDE, float(rng.uniform(0.02, 0.98)), 1000 * settings.seed + k)
        yield _escape("absolute", ("tanh", "whitened"), (nu_k, eps_k), at)
        settings.progress("escapes", k + 1, settings.effort.pick(12, 40, 120))


def large(settings: Settings) -> Iterator[Evidence]:
    """Starts that are not small: r from 0.01 to 10, a linear activation."""
    size = _moments("whitened")[0]
    rng = np.random.default_rng([settings.seed, 4])
    for ratio in np.geomspace(0.01, 10, settings.effort.pick(6, 12, 30)):
        second = ratio * 2 * size / WIDE
        part = float(rng.uniform(0.1, 0.9))
        scales = (float(np.sqrt(part * second)), float(np.sqrt((1 - part) * second)))
        at = (WIDE, float(rng.uniform(0.3, 0.9)), 1000 * settings.seed)
        yield _escape("large", ("identity", "whitened"), scales, at)


def width(settings: Settings) -> Iterator[Evidence]:
    """As many neurons in all at every width, scale 1e-6."""
    pick = settings.effort.pick
    for neurons in 4 ** np.arange(4, pick(7, 8, 10)):
        for start in range(max(4, pick(8192, 16_384, 65_536) // int(neurons))):
            for data in pick(("whitened",), ("whitened", "cloud"), ("whitened", "cloud")):
                at = (int(neurons), 0.1, 1000 * settings.seed + start)
                yield _escape("width", ("tanh", data), (1e-6, 1e-6), at)


CLAIMS = (
    Claim(
        "T of any fraction, width and scales", "absolute", Equality(0, absolute=0.02), PASSED,
        {
            "no feedback: q for q/(1 - q)": PASSED.xreplace({q: q / (1 + q)}),
            "epsilon^2 for nu^2 + epsilon^2": PASSED.xreplace({nu: sp.Integer(0)}),
            "nu epsilon for nu^2 + epsilon^2": LEADING.xreplace({nu: 0, eps: sp.sqrt(nu * eps)}),
            "one neuron": PASSED.xreplace({m: sp.Integer(1)}),
        },
        axis="q",
    ),
    Claim(
        "starts that are not small: the closed form", "large", Equality(1e-6), PASSED,
        {
            "the formula of small starts": LEADING,
            "its logarithm": sp.log(2 * q / (RATIO * (1 - q))) / (2 * z),
        },
        axis="epsilon",
    ),
    Claim(
        "T falls as ln(m)/(2 lambda)", "width",
        Slope(axis(sp.log(m) / (2 * z)), tolerance=0.05), LEADING,
        {
            "1/lambda": LEADING.xreplace({m: m**2}),
            "no dependence on the width": LEADING.xreplace({m: sp.Integer(1)}),
            "the root of the width": LEADING.xreplace({m: sp.sqrt(m)}),
        },
        axis="m",
    ),
)  # fmt: skip

LAW = Law(
    name="escape-by-width",
    title="escape from small weights: width, two scales, and the fraction that is fitted",
    statements=(
        Statement(
            "escape", "derived",
            sp.Eq(T, LEADING, evaluate=False), "flowtheory, docs/laws/escape-by-width",
            "small start; the initial stage is that of Chen et al. 2023, whose T is of order log m",
        ),
        Statement(
            "any start", "derived", sp.Eq(T, EXACT, evaluate=False),
            "flowtheory, docs/laws/escape-by-width",
            "whitened inputs and a linear activation, m -> infinity; r = m (nu^2 + epsilon^2)/2|z|",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time at which the output along z is the fraction q of its limit", "1"),
        SymbolInfo(MOMENT, "norm of the moment z of labels and inputs", "1"),
        SymbolInfo(CURVATURE, "second moment of the inputs along z", "1"),
        SymbolInfo(FRACTION, "fraction of the final output along z", "1"),
        SymbolInfo(WIDTH, "neurons", "1"),
        SymbolInfo(NU, "standard deviation of the output weights", "1"),
        SymbolInfo(EPSILON, "standard deviation of an input weight", "1"),
        SymbolInfo(r, "m (nu^2 + epsilon^2)/(2 |z|)", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("absolute", "random scales and fractions", absolute),
        Experiment("large", "starts that are not small", large),
        Experiment("width", "over the width", width),
    ),
    controls=(),
    claims=CLAIMS,
    not_shown=(
        "the constant for inputs that are not whitened, beyond small q",
        "starts with a correlation of a and w: the pairs used here have none",
    ),
    references=(
        "Z.-A. Chen, Y. Li, T. Luo, Z. Zhou, Z.-Q. J. Xu. Phase diagram of initial condensation "
        "for two-layer neural networks. arXiv:2303.06561.",
    ),
    docs="docs/laws/escape-by-width.md",
    derive=derive,
)  # fmt: skip
