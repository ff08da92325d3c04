r"""Unbalanced linear layers: closed forms for two of them, one integral for any number.

$f = a\,w\cdot x$ on whitened inputs, $\delta = a^2 - |w|^2$ conserved, $\mu = a|w|$ and $\varphi$
the cosine of $w$ with the target, of length $s$:
$\dot\mu = \sqrt{\delta^2 + 4\mu^2}\,(\varphi s - \mu)$ and
$\dot\varphi = (a/|w|)\,s\,(1 - \varphi^2)$. Aligned,
$y = e^{\mathrm{arcsinh}(2\mu/|\delta|)}$ obeys a Riccati equation. $L$ gains $x_l$ reach
$P = \prod_l\sqrt{x_l^2 + \tau}$ after
$t = \frac12\int d\tau/(P(s - P))$, whatever their imbalance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp
from jaxtyping import Float
from scipy.integrate import quad

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.flow.until import loss_below
from flowtheory.judge import Equality, Evidence
from flowtheory.laws.claim import Claim
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.lower import numeric
from flowtheory.symbolic import (
    Derivation,
    Line,
    aligned_layers,
    closed_laws,
    deep_linear,
    effective_flow,
)

s, mu, mu_0, mu_f, T = sp.symbols("s mu mu_0 mu_f T", positive=True)
delta, phi = sp.symbols("delta phi", real=True)
tau, tau_f, P = sp.symbols("tau tau_f P", positive=True)
rate_mu, rate_phi = sp.symbols("R_mu R_phi", real=True)

CONST = sp.sqrt(delta**2 + 4 * mu**2)
RATE_MU = CONST * (phi * s - mu)
# a/|w|, from |w|^2 = (CONST - delta)/2 and mu = a |w|.
RATIO = 2 * mu / (CONST - delta)
RATE_PHI = RATIO * s * (1 - phi**2)

KAPPA = sp.sqrt(4 * s**2 + delta**2)
TIME_INTEGRAL = 1 / (2 * P * (s - P))


def _share(value: sp.Expr) -> sp.Expr:
    r"""$(y - y_-)/(y_+ - y)$ at $\mu$ = `value`, the quantity that grows as $e^{\kappa t}$.

    Times $|\delta|$, and with $\kappa - 2s = \delta^2/(\kappa + 2s)$, which does not cancel.
    """
    y = 2 * value + sp.sqrt(4 * value**2 + delta**2)
    return (y + delta**2 / (KAPPA + 2 * s)) / (2 * s + KAPPA - y)


RICCATI = sp.log(_share(mu_f) / _share(mu_0)) / KAPPA
BALANCED = sp.log(mu_f * (s - mu_0) / (mu_0 * (s - mu_f))) / (2 * s)
LEADING_INTEGRAL = 1 / (2 * P * s)


def derive() -> Derivation:
    """The invariants and the clock of the engine, the rates, and what they give."""
    flow = effective_flow(deep_linear(2, output="scalar"), "half_square")
    chain = aligned_layers(3)
    squares = chain.squares(tau)
    return Derivation(
        "Unbalanced linear layers",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "two layers"),
            *(
                Line(f"invariant {i}", law.quantity, str(law))
                for i, law in enumerate(closed_laws(flow.network), 1)
            ),
            Line("size", sp.Eq(rate_mu, RATE_MU), "mu = a |w|, delta = a^2 - |w|^2"),
            Line("direction", sp.Eq(rate_phi, RATE_PHI), "phi the cosine with the target"),
            Line("aligned", sp.Eq(T, RICCATI), "phi = 1, from mu_0 to mu_f"),
            Line("balanced", sp.Eq(T, BALANCED), "its limit for delta -> 0"),
            Line("three gains", sp.Eq(sp.Symbol("P"), sp.sqrt(sp.Mul(*squares))), "in the clock"),
            Line("invariants", sp.Tuple(*chain.invariants), "differences of squares"),
            Line("the clock", sp.Eq(sp.Symbol("dt/dtau"), TIME_INTEGRAL), "of the full flow"),
        ),
    )


def aligned(settings: Settings) -> Iterator[Evidence]:
    """Two scalar layers from unequal gains, until the product is half the target."""
    rng = np.random.default_rng(settings.seed)
    least = settings.effort.pick(-8, -12, -30)
    scales = np.geomspace(10.0**least, 1e-2, settings.effort.pick(4, 7, 16))
    centres = settings.effort.pick((-4, -2, 0), (-8, -4, -2, 0), (-16, -8, -4, -2, -1, 0))
    for done, centre in enumerate(centres):
        strength = float(rng.uniform(0.5, 2.0))
        gap = 10.0 ** (centre + rng.uniform(-0.3, 0.3)) * (-1) ** done
        flow = GradientFlow(deep_linear(2, output="scalar"), "half_square", x=[[1.0]], y=[strength])
        for scale in scales:
            yield _aligned(flow, strength, float(scale), float(gap), settings.seed)
        settings.progress("two unbalanced layers", done + 1, len(centres))


def _aligned(flow: GradientFlow, strength: float, start: float, gap: float, seed: int) -> Evidence:
    large = np.sqrt((abs(gap) + np.hypot(gap, 2 * start)) / 2)
    a, w = (large, start / large) if gap > 0 else (start / large, large)
    params = {"W": np.array([[w]]), "v": np.array([a])}
    run = flow.solve(
        params, until=loss_below(strength**2 / 8), save="norms", rtol=1e-11, skip=False
    )
    return Evidence(
        "aligned",
        f"delta = {gap:.2g}",
        {"s": strength, "mu_0": start, "mu_f": strength / 2, "delta": gap},
        run.t_end,
        error=float(run.error_estimate),
        seed=seed,
    )


def directions(settings: Settings) -> Iterator[Evidence]:
    """Rates of the size and the direction at random parameters, by the field of the full loss."""
    rng = np.random.default_rng([settings.seed, 1])
    target = rng.standard_normal(3)
    strength = float(np.linalg.norm(target))
    flow = GradientFlow(deep_linear(2, output="scalar"), "half_square", x=np.eye(3), y=target)
    for _ in range(settings.effort.pick(12, 60, 400)):
        w = rng.standard_normal(3) * 10.0 ** rng.uniform(-1, 0.3)
        a = float(10.0 ** rng.uniform(-1, 0.3))
        field = flow.vector_field({"W": w[None, :], "v": np.array([a])})
        dw, da = field["W"][0], float(field["v"][0])
        size = float(np.linalg.norm(w))
        cosine = float(w @ target) / (size * strength)
        grow = float(w @ dw) / size
        parameters = {"s": strength, "mu": a * size, "delta": a**2 - size**2, "phi": cosine}
        turn = float(dw @ target) / (size * strength) - cosine * grow / size
        for what, value in (("size", da * size + a * grow), ("direction", turn)):
            yield Evidence("directions", what, parameters, value, seed=settings.seed)


def chains(settings: Settings) -> Iterator[Evidence]:
    """Chains of unequal gains at several scales, until the product is nine tenths of the target."""
    depths = settings.effort.pick((3,), (3, 4), (2, 3, 4, 5))
    least, count = settings.effort.pick((-3, 6), (-4, 8), (-6, 14))
    rng = np.random.default_rng([settings.seed, 2])
    for done, depth in enumerate(depths):
        strength, gains = float(rng.uniform(0.5, 2.0)), 10.0 ** rng.uniform(-1, 0, depth)
        for scale in np.geomspace(10.0**least, 0.5, count):
            yield _chain(depth, strength, scale * gains, settings.seed)
        settings.progress("chains of unequal gains", done + 1, len(depths))


def _chain(depth: int, strength: float, gains: np.ndarray, seed: int) -> Evidence:
    network = deep_linear(depth, output="scalar")
    flow = GradientFlow(network, "half_square", x=[[1.0]], y=[strength])
    shapes = flow.init(width=1)
    params = {
        name: np.full(np.shape(value), gain)
        for (name, value), gain in zip(shapes.items(), gains, strict=True)
    }
    run = flow.solve(
        params, until=loss_below((0.1 * strength) ** 2 / 2), save="norms", rtol=1e-11, skip=False
    )
    end = 0.9 * strength
    mean = np.full(depth, np.prod(gains) ** (1 / depth))
    parameters = {
        "L": depth,
        "s": strength,
        "x_min": float(gains.min()),
        "T_star": passage(TIME_INTEGRAL, gains, strength, end),
        "T_mean": passage(TIME_INTEGRAL, mean, strength, end),
        "T_lead": passage(LEADING_INTEGRAL, gains, strength, end),
    }
    return Evidence(
        "chains", f"L = {depth}", parameters, run.t_end, error=float(run.error_estimate), seed=seed
    )


def passage(
    integrand: sp.Expr, gains: Float[np.ndarray, " L"], strength: float, end: float
) -> float:
    r"""$\int$ `integrand` $d\tau$ until $P$ = `end`, where $P^2 = \prod_l(x_l^2 + \tau)$.

    In $v = \ln P$, $d\tau = 2\,dv/\sum_l(x_l^2 + \tau)^{-1}$, in which small gains are no peak.
    """
    rate = numeric(integrand, [P, s])
    squares = gains**2

    def clock(product: float) -> float:
        """The clock at a product, by Newton's method on ln P."""
        at = 0.0
        # ln P is concave in tau: from below, the steps rise to the root and never pass it.
        for _ in range(200):
            wanted = np.log(product) - 0.5 * np.sum(np.log(squares + at))
            step = 2 * wanted / np.sum(1 / (squares + at))
            at += step
            if abs(step) <= 1e-15 * (at + squares.min()):
                break
        return at

    def by_log(v: float) -> float:
        product = float(np.exp(v))
        return float(rate(product, strength)) * 2 / float(np.sum(1 / (squares + clock(product))))

    low = float(np.log(np.sqrt(squares)).sum())
    return float(quad(by_log, low, np.log(end), epsabs=0, epsrel=1e-12, limit=400)[0])


T_star, T_mean, T_lead = sp.symbols("T_star T_mean T_lead", positive=True)
SOURCE = "flowtheory, docs/laws/unbalanced-linear"

LAW = Law(
    name="unbalanced-linear",
    title="unbalanced linear layers: closed forms",
    statements=(
        Statement("size", "published", sp.Eq(rate_mu, RATE_MU, evaluate=False),
                  "Kunin et al., NeurIPS 2024, arXiv:2406.06158", "rates of learning 1 in both"),
        Statement("direction", "published", sp.Eq(rate_phi, RATE_PHI, evaluate=False),
                  "Kunin et al., NeurIPS 2024, arXiv:2406.06158", "the sign of delta matters here"),
        Statement("aligned", "derived", sp.Eq(T, RICCATI, evaluate=False), SOURCE,
                  "phi = 1; the sign of delta does not matter"),
        Statement("any number of gains", "derived",
                  sp.Eq(T, sp.Integral(TIME_INTEGRAL, (tau, 0, tau_f)), evaluate=False), SOURCE,
                  "P is the product of sqrt(x_l^2 + tau)"),
    ),
    symbols=(
        SymbolInfo(rate_mu, "rate of mu", "gain**4"),
        SymbolInfo(rate_phi, "rate of phi", "gain**2"),
        SymbolInfo(T, "time from mu_0 to mu_f; of L gains, until the clock reads tau_f",
                   "gain**-2"),
        SymbolInfo(s, "length of the target", "gain**2"),
        SymbolInfo(mu, "a |w|", "gain**2"),
        SymbolInfo(mu_0, "mu at the start", "gain**2"),
        SymbolInfo(mu_f, "mu at the end", "gain**2"),
        SymbolInfo(delta, "a^2 - |w|^2, conserved", "gain**2"),
        SymbolInfo(phi, "cosine of w with the target", "1"),
        SymbolInfo(P, "product of the gains", "gain**2 (for two; gain**L for L)"),
        SymbolInfo(tau, "clock, in which every squared gain grows at rate 1", "gain**2"),
        SymbolInfo(tau_f, "its last value", "gain**2"),
    ),
    assumptions=(),
    clock=Clock("sum", 1.0),
    experiments=(
        Experiment("aligned", "two scalar layers", aligned),
        Experiment("directions", "random parameters in three dimensions", directions),
        Experiment("chains", "chains of unequal gains", chains),
    ),
    controls=(),
    claims=(
        Claim(
            "aligned: T by the Riccati equation", "aligned", Equality(1e-8), RICCATI,
            {
                "balanced": BALANCED,
                "balanced rate 2 s": RICCATI * KAPPA / (2 * s),
                "half the imbalance": RICCATI.subs(delta, delta / 2),
            },
            axis="mu_0",
        ),
        Claim(
            "mu' = sqrt(delta^2 + 4 mu^2) (phi s - mu)", "directions", Equality(1e-10), RATE_MU,
            {
                "balanced": RATE_MU.subs(delta, 0),
                "without the direction": RATE_MU.subs(phi, 1),
                "4 mu^2 - delta^2": sp.sqrt(sp.Abs(4 * mu**2 - delta**2)) * (phi * s - mu),
            },
            families=("size",), axis="delta",
        ),
        Claim(
            "phi' = (a/|w|) s (1 - phi^2)", "directions", Equality(1e-9), RATE_PHI,
            {
                "the wrong sign of the imbalance": RATE_PHI.subs(delta, -delta),
                "balanced": RATE_PHI.subs(delta, 0),
                "linear in the angle": RATIO * s * (1 - phi),
            },
            families=("direction",), axis="delta",
        ),
        Claim(
            "any depth: t = 1/2 int dtau/(P (s - P))", "chains", Equality(1e-7), T_star,
            {
                "balanced at the geometric mean": T_mean,
                "without saturation": T_lead,
                "without the factor 1/2": 2 * T_star,
            },
            axis="x_min",
        ),
    ),
    not_shown=(
        "several modes: lambda-balanced matrices have a Riccati equation of their own",
        "inputs that are not whitened",
        "the time from a start that is not aligned: mu and phi then have no closed form here",
    ),
    references=(
        "D. Kunin et al. Get rich quick: exact solutions reveal how unbalanced initializations "
        "promote rapid feature learning. NeurIPS 2024. arXiv:2406.06158.",
        "C. Domine et al. From lazy to rich: exact learning dynamics in deep linear networks. "
        "2024. arXiv:2409.14623.",
    ),
    docs="docs/laws/unbalanced-linear.md",
    derive=derive,
)  # fmt: skip
