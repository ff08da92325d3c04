r"""The solvable phase diagram: how far the weights of a linear network go on whitened data.

With features of second moment 1 and a start whose own second moments are those of a normal, the
closed form is exact at every width. It is measured on small networks, over the whole plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.flow.until import loss_below
from flowtheory.judge import Equality, Evidence
from flowtheory.laws.claim import Claim
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import Derivation, Line, two_layer
from flowtheory.symbolic.closure import psi_closure
from flowtheory.symbolic.drift import LEVEL, contour
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, MOMENT, WIDTH
from flowtheory.symbolic.solvable import STAGE, solvable_diagram

SOURCE = "flowtheory, docs/laws/solvable-diagram"
CLOSURE = psi_closure(leading_flow(two_layer("identity"), "half_mse"))
DIAGRAM = solvable_diagram(CLOSURE)
CONTOUR = contour(DIAGRAM)
HIDDEN, OUTPUT = DIAGRAM.input_change.expression, DIAGRAM.output_change.expression
R_w, R_a, kappa_c = (sp.Symbol(name, positive=True) for name in ("R_w", "R_a", "kappa_c"))
RATIOS = (0.05, 1.0, 20.0)
LEFT = 1e-9  # of the residual, relative to zero output


def _at(stage: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Both changes at another end of the flow."""
    changes = DIAGRAM.input_change_at, DIAGRAM.output_change_at
    hidden, output = (change.expression.subs(STAGE, stage) for change in changes)
    return hidden, output


ARGUMENT = sp.sinh(2 * DIAGRAM.stage.expression)
LAZY = _at(ARGUMENT / 2)
ALIKE = _at(sp.asinh(MOMENT / (WIDTH * KAPPA)) / 2)
TWICE = _at(sp.asinh(ARGUMENT))


def derive() -> Derivation:
    """The closure, the end of its flow, both changes, and where RD has a level."""
    linear = [
        Line(f"{entry}'", sp.Eq(sp.Symbol(f"{entry.base}'"), rate), "for a given g")
        for entry, rate in CLOSURE.linear.components
    ]
    return Derivation(
        "Solvable phase diagram",
        (
            *linear,
            Line("force", sp.Eq(sp.Symbol("g"), CLOSURE.force), "vanishes at the end"),
            Line("stage", sp.Eq(STAGE, DIAGRAM.stage.expression), "at the end, for G = 1"),
            Line("change of w", sp.Eq(R_w, HIDDEN), ""),
            Line("change of a", sp.Eq(R_a, OUTPUT), ""),
            Line("level", sp.Eq(kappa_c, CONTOUR.kappa.expression), f"where R_w = {LEVEL}"),
        ),
    )


def plane(settings: Settings) -> Iterator[Evidence]:
    r"""Random $m\kappa$ over five decades at three ratios $\kappa'$ of the standard deviations."""
    shapes = settings.effort.pick(((24, 3),), ((24, 3), (40, 6)), ((24, 3), (40, 6), (200, 2)))
    count = settings.effort.pick(3, 8, 16)
    for number, (m, dimension) in enumerate(shapes):
        rng = np.random.default_rng((settings.seed, number))
        x = np.sqrt(12) * np.linalg.qr(rng.standard_normal((12, dimension)))[0]
        target = rng.standard_normal(dimension)
        target *= float(rng.uniform(0.5, 2)) / np.linalg.norm(target)
        flow = GradientFlow(two_layer("identity"), "half_mse", x=x, y=x @ target)
        for ratio, k in product(RATIOS, range(count)):
            capability = 10.0 ** (-3 + 5 * (k + rng.uniform()) / count)
            start = _start(m, dimension, rng)
            point = {str(KAPPA): capability / m, str(KAPPA_PRIME): ratio}
            yield from _point(flow, start, point, target, settings.seed)
        settings.progress("points of the plane", number + 1, len(shapes))


Start = tuple[np.ndarray, np.ndarray]


def _start(m: int, dimension: int, rng: np.random.Generator) -> Start:
    """Pairs of opposite neurons whose second moments are exactly those of a normal."""
    half = np.linalg.qr(rng.standard_normal((m // 2, dimension)))[0] * np.sqrt(m / 2)
    a = rng.standard_normal(m // 2)
    a /= np.sqrt(np.mean(a**2))
    return np.concatenate([half, half]), np.concatenate([a, -a])


def _point(
    flow: GradientFlow, start: Start, point: dict[str, float], target: np.ndarray, seed: int
) -> Iterator[Evidence]:
    """Both changes at one point; alpha = 1, so that the standard deviations are determined."""
    kappa, ratio = point.values()
    w, a = start
    scales = {"W": (kappa / ratio) ** 0.5, "v": (kappa * ratio) ** 0.5}
    first = {"W": scales["W"] * w, "v": scales["v"] * a}
    whole = 0.5 * float(target @ target)
    run = flow.solve(first, until=loss_below(whole * LEFT**2), save="norms", rtol=1e-10)
    parameters: dict[str, Any] = point | {
        str(WIDTH): len(a),
        str(MOMENT): float(np.linalg.norm(target)),
        str(INPUT_DIMENSION): w.shape[1],
    }
    for family, name in (("w", "W"), ("a", "v")):
        moved = np.linalg.norm(run.params[name] - first[name]) / np.linalg.norm(first[name])
        yield Evidence(
            experiment="plane",
            family=f"{family}, kappa' = {ratio:g}",
            parameters=parameters,
            measured=float(moved),
            seed=seed,
        )


def _families(layer: str) -> tuple[str, ...]:
    return tuple(f"{layer}, kappa' = {ratio:g}" for ratio in RATIOS)


def _wrong(index: int, right: sp.Expr) -> dict[str, Any]:
    return {
        "lazy throughout: asinh left out": LAZY[index],
        "kappa' + 1/kappa' taken as 2": ALIKE[index],
        "twice the stage": TWICE[index],
        "the dimension left out": right * sp.sqrt(INPUT_DIMENSION),
    }


CLAIMS = (
    Claim(
        "change of the input weights", "plane", Equality(1e-7), HIDDEN, _wrong(0, HIDDEN),
        families=_families("w"), axis=str(KAPPA),
    ),
    Claim(
        "change of the output weights", "plane", Equality(1e-7), OUTPUT, _wrong(1, OUTPUT),
        families=_families("a"), axis=str(KAPPA),
    ),
)  # fmt: skip

LAW = Law(
    name="solvable-diagram",
    title="how far the weights of a linear network go, over the whole phase diagram",
    statements=(
        Statement(
            "input weights", "derived", sp.Eq(R_w, HIDDEN, evaluate=False), SOURCE,
            "zero output at the start, second moment of the features 1",
        ),
        Statement("output weights", "derived", sp.Eq(R_a, OUTPUT, evaluate=False), SOURCE),
        Statement(
            "contour", "derived", sp.Eq(kappa_c, CONTOUR.kappa.expression, evaluate=False), SOURCE,
            "where the input weights have moved by R; R = 1 is the boundary of that width",
        ),
    ),
    symbols=(
        SymbolInfo(R_w, "|w(t) - w(0)|/|w(0)| over all neurons at the end", "1"),
        SymbolInfo(R_a, "|a(t) - a(0)|/|a(0)| at the end", "1"),
        SymbolInfo(kappa_c, "kappa at which R_w has a level", "label"),
        SymbolInfo(LEVEL, "the level", "1"),
        SymbolInfo(WIDTH, "number of neurons", "1"),
        SymbolInfo(KAPPA, "beta_1 beta_2/alpha, scale of the output", "label"),
        SymbolInfo(KAPPA_PRIME, "beta_1/beta_2", "1"),
        SymbolInfo(MOMENT, "length of z, the mean of y x", "label"),
        SymbolInfo(INPUT_DIMENSION, "dimension of the inputs", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(Experiment("plane", "random points of the plane", plane),),
    controls=(),
    claims=CLAIMS,
    varied=(str(WIDTH), str(KAPPA), str(KAPPA_PRIME), str(INPUT_DIMENSION)),
    not_shown=(
        "random starts of finite width, whose second moments scatter by the root of D/m",
        "features that are not whitened, for which the closure is integrated, and smooth "
        "activations, for which it is the leading order in the scale of the input weights",
        "ReLU, for which the same formula with a fitted constant is a description",
    ),
    references=(
        "T. Luo, Z.-Q. J. Xu, Z. Ma, Y. Zhang. Phase diagram for two-layer ReLU neural networks at "
        "infinite-width limit. JMLR 22 (2021). arXiv:2007.07497.",
    ),
    docs="docs/laws/solvable-diagram.md",
    derive=derive,
)  # fmt: skip
