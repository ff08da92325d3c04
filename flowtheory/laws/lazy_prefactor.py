r"""How far the layers of a two-layer network move on the lazy side of the phase diagram.

The exponents in the width are those of a table; the constants in front are quadratic forms of the
kernels at the start, and in the w-lazy region a constant of second order. They are measured on
networks of up to 16,384 neurons of a homogeneous activation, first with the kernels of the very
neurons, then with those of infinite width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.flow.fall import fall
from flowtheory.flow.steps import ERROR_FACTOR
from flowtheory.judge import Equality, Evidence, Mean
from flowtheory.laws.claim import Claim, evaluate
from flowtheory.laws.record import (
    Experiment,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    Verification,
)
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.phase.lazy import (
    LazyConstants,
    lazy_constants,
    lazy_kernels,
    network_constants,
)
from flowtheory.phase.point import Point
from flowtheory.plot.style import CYCLE, MARKERS, styled
from flowtheory.symbolic import Derivation, Line
from flowtheory.symbolic.lazy import HIDDEN_FORM, OUTPUT_FORM, SECOND_ORDER, lazy_limit
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "flowtheory, docs/laws/lazy-prefactor"
LIMIT = lazy_limit()
OUTPUT, HIDDEN, GROWN = (
    formula.expression for formula in (LIMIT.output_change, LIMIT.hidden_change, LIMIT.grown_change)
)
BOTH = sp.sqrt(HIDDEN**2 + GROWN**2)
LUO = sp.log(WIDTH) / (WIDTH * KAPPA)  # Luo et al. 2021, Theorem 6, taken as an equality
CONSTANT = sp.Symbol("c", positive=True)
R_w, R_a = sp.Symbol("R_w", positive=True), sp.Symbol("R_a", positive=True)

LAZY = ((0.2, 0.0), (0.3, -0.4), (0.3, 0.4), (0.1, 0.8), (0.2, -1.0))
W_LAZY = ((1.3, 1.2), (1.6, 1.4), (2.0, 1.9))
LEVEL = 1e-8  # of the loss, relative to zero output
LEAST_EIGENVALUE = 0.04


class Data(NamedTuple):
    """Inputs with a bias as their last coordinate, and labels."""

    x: np.ndarray
    y: np.ndarray


def draw(rng: np.random.Generator, n: int, dimension: int) -> Data:
    """Random data whose kernel is not nearly singular, so that m = 4096 is lazy."""
    while True:
        x = np.column_stack([rng.uniform(-1.5, 1.5, (n, dimension - 1)), np.ones(n)])
        if np.linalg.eigvalsh(lazy_kernels(x).output)[0] > LEAST_EIGENVALUE:
            return Data(x, rng.choice([-1.0, 1.0], n) * rng.uniform(0.3, 1.0, n))


def derive() -> Derivation:
    """The kernels, the changes, and the constant of second order."""
    alpha = sp.Symbol("alpha")
    return Derivation(
        "Constants of the lazy side",
        (
            Line("network", sp.Eq(sp.Symbol("f"), LIMIT.network.output), "any activation"),
            Line("kernel of a", sp.Eq(sp.Symbol("K^a"), LIMIT.output_kernel), "mu: shares, 1/m"),
            Line("kernel of w", sp.Eq(sp.Symbol("K^w"), LIMIT.hidden_kernel), ""),
            Line("both", sp.Eq(sp.Symbol("K"), LIMIT.total_kernel), f"K {alpha} = y"),
            Line("form of a", sp.Eq(OUTPUT_FORM, LIMIT.output_form), ""),
            Line("form of w", sp.Eq(HIDDEN_FORM, LIMIT.hidden_form), ""),
            Line("change of a", sp.Eq(R_a, OUTPUT), "where the start can express the labels"),
            Line("change of w", sp.Eq(R_w, HIDDEN), "driven by a at the start"),
            Line("path", sp.Eq(sp.Symbol("B"), LIMIT.path), "in the eigenbasis of K^a"),
            Line("constant", sp.Eq(SECOND_ORDER**2, LIMIT.second_order_square), ""),
            Line("second order", sp.Eq(R_w, GROWN), "w-lazy: driven by the a that has grown"),
        ),
    )


def own(settings: Settings) -> Iterator[Evidence]:
    """Deep in the lazy side, with the kernels and the norms of the very start."""
    sizes = settings.effort.pick(((3, 2),), ((3, 2), (4, 3)), ((3, 2), (4, 3), (6, 5)))
    activations = settings.effort.pick(("relu",), ("relu", "abs"), ("relu", "abs"))
    width = settings.effort.pick(4096, 4096, 8192)
    rng = np.random.default_rng((settings.seed, 1))
    for count, (n, dimension) in enumerate(sizes):
        data = draw(rng, n, dimension)
        for activation in activations:
            for place in (*LAZY, *W_LAZY):
                yield from _run(place, data, activation, width, settings.seed, own_kernels=True)
        settings.progress("networks with their own kernels", count + 1, len(sizes))


def limit(settings: Settings) -> Iterator[Evidence]:
    """Replicates against the kernels of infinite width."""
    starts = settings.effort.pick(24, 32, 32)
    width = settings.effort.pick(4096, 4096, 16384)
    data = draw(np.random.default_rng((settings.seed, 2)), 3, 2)
    places = settings.effort.pick(LAZY[:1], LAZY[:2], LAZY[:3])
    for count, place in enumerate(places):
        for k in range(starts):
            seed = 1000 * settings.seed + k
            yield from _run(place, data, "relu", width, seed, own_kernels=False)
        settings.progress("networks and the limit", count + 1, len(places))


def _run(
    place: tuple[float, float],
    data: Data,
    activation: str,
    width: int,
    seed: int,
    *,
    own_kernels: bool,
) -> Iterator[Evidence]:
    """One network at one point: the change of both layers, with the error of the steps."""
    point = Point(*place, width, activation)
    dimension = data.x.shape[1]
    start = point.start(dimension, np.random.default_rng((seed, width)), paired=True)
    seen = point.samples(data.x, data.y)
    level = LEVEL * 0.5 * float(seen.weight) * float(np.sum(seen.y**2))
    W, v = (np.asarray(part) for part in start)
    moved = []
    for c in (0.25, 0.125) if own_kernels else (0.5,):
        end = fall(two_layer_model(activation, "half_mse"), seen, start, level, c=c)
        pairs = zip((W, v), end.params, strict=True)
        moved.append([np.linalg.norm(np.asarray(b) - a) / np.linalg.norm(a) for a, b in pairs])
    errors = [ERROR_FACTOR * abs(a - b) for a, b in zip(moved[0], moved[-1], strict=True)]
    a = v / point.kappa_prime
    if own_kernels:
        constants = network_constants(W, a, *data, point.kappa_prime, activation)
    else:
        constants = lazy_constants(*data, point.kappa_prime, activation)
    parameters = _parameters(point, W, a, constants, own_kernels)
    side = "lazy" if place[0] < 1 else "w-lazy"
    for layer, value, error in zip(("w", "a"), moved[-1], errors, strict=True):
        yield Evidence(
            experiment="own" if own_kernels else "limit",
            family=f"{layer}, {side}",
            parameters=parameters | {"gamma": place[0], "gamma'": place[1]},
            measured=float(value),
            error=float(error),
            seed=seed,
        )


def _parameters(
    point: Point, W: np.ndarray, a: np.ndarray, constants: LazyConstants, own_kernels: bool
) -> dict[str, Any]:
    """The symbols of the predictions; with its own kernels, the mean squares of the start too."""
    squares = float(np.sum(W**2)) / len(W), float(np.mean(a**2))
    if not own_kernels:
        squares = float(W.shape[1]), 1.0
    # C^2 has the divisor D, as Q_w has in the first order.
    second = constants.second_order * (W.shape[1] / squares[0]) ** 0.5
    return {
        str(WIDTH): point.width,
        str(KAPPA): point.kappa,
        str(KAPPA_PRIME): point.kappa_prime,
        str(INPUT_DIMENSION): squares[0],
        str(OUTPUT_FORM): constants.output_form / squares[1],
        str(HIDDEN_FORM): constants.hidden_form,
        str(SECOND_ORDER): second,
    }


def _claims() -> tuple[Claim, ...]:
    swapped = {HIDDEN_FORM: OUTPUT_FORM, OUTPUT_FORM: HIDDEN_FORM}
    root = sp.sqrt(INPUT_DIMENSION)
    hidden: dict[str, Any] = {
        "the published bound as an equality": LUO,
        "without the root of D": HIDDEN * root,
        "kernels exchanged": HIDDEN.xreplace(swapped),
        "without kappa'": HIDDEN / KAPPA_PRIME,
    }
    output: dict[str, Any] = {
        "the published bound as an equality": LUO,
        "divided by the root of D": OUTPUT / root,
        "kernels exchanged": OUTPUT.xreplace(swapped),
        "without kappa'": OUTPUT * KAPPA_PRIME,
    }
    grown: dict[str, Any] = {
        "the published bound as an equality": KAPPA_PRIME * LUO,
        "first order alone": HIDDEN,
        "first power of kappa'/(m kappa)": GROWN * WIDTH * KAPPA / KAPPA_PRIME,
        "without the root of D": BOTH * root,
    }
    limit_of = {name: hidden[name] for name in list(hidden)[:3]}
    return (
        Claim(
            "lazy: change of the input weights", "own", Equality(0.02), HIDDEN, hidden,
            families=("w, lazy",), axis=str(KAPPA),
        ),
        Claim(
            "change of the output weights", "own", Equality(0.02), OUTPUT, output,
            families=("a, lazy", "a, w-lazy"), axis=str(KAPPA),
        ),
        Claim(
            "w-lazy: change of the input weights, second order", "own", Equality(0.02), BOTH, grown,
            families=("w, w-lazy",), axis=str(KAPPA),
        ),
        Claim(
            "input weights, kernels of infinite width", "limit", Mean(0.05), HIDDEN, limit_of,
            families=("w, lazy",),
        ),
        Claim(
            "output weights, kernels of infinite width", "limit", Mean(0.05), OUTPUT,
            {"the published bound as an equality": LUO}, families=("a, lazy",),
        ),
    )  # fmt: skip


CLAIMS = _claims()


def figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    """One figure: measured over predicted."""
    rows = [row for row in verification.rows if row.experiment == "own"]
    caption = (
        "Relative change of a layer at the end of training against its prediction from the kernels "
        "at the start; the line is equality, and nothing is fitted."
    )
    return {"constants": (_figure(rows), caption)}


@styled
def _figure(rows: Sequence[Evidence]) -> Figure:
    from flowtheory.plot._figure import decades, legend_below, panels

    figure, ((axes,),) = panels(3.2)
    predictions = {"w, lazy": HIDDEN, "a, lazy": OUTPUT, "w, w-lazy": BOTH, "a, w-lazy": OUTPUT}
    names = {"w": "input weights", "a": "output weights"}
    drawn = zip(predictions.items(), CYCLE, MARKERS, strict=False)
    for (family, prediction), colour, marker in drawn:
        mine = [row for row in rows if row.family == family]
        layer, side = family.split(", ")
        axes.plot(
            evaluate(prediction, mine), [row.measured for row in mine], color=colour, marker=marker,
            linestyle="", markerfacecolor="none", markersize=4, label=f"{names[layer]}, {side}",
        )  # fmt: skip
    values = [row.measured for row in rows]
    ends = [min(values), max(values)]
    axes.plot(ends, ends, color="0.5", linewidth=0.7, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="predicted", ylabel="measured RD")
    decades(axes.xaxis)
    decades(axes.yaxis)
    legend_below(figure, axes, columns=2)
    return figure


LAW = Law(
    name="lazy-prefactor",
    title="how far the layers of a two-layer network move on the lazy side",
    statements=(
        Statement(
            "input weights, published bound", "published",
            sp.Le(R_w, CONSTANT * LUO, evaluate=False),
            "Luo, Xu, Ma, Zhang, JMLR 22 (2021), arXiv:2007.07497, Theorem 6",
            "with a constant c; gamma < 1",
        ),
        Statement(
            "input weights", "sharper", sp.Eq(R_w, HIDDEN, evaluate=False), SOURCE,
            "gamma < 1, zero output at the start, activation of degree 1",
        ),
        Statement(
            "output weights", "derived", sp.Eq(R_a, OUTPUT, evaluate=False), SOURCE,
            "gamma < 1, or gamma' > gamma - 1",
        ),
        Statement(
            "input weights, w-lazy", "sharper", sp.Eq(R_w, GROWN, evaluate=False), SOURCE,
            "gamma > 1 and gamma' > gamma - 1; the published bound has the first power",
        ),
    ),
    symbols=(
        SymbolInfo(R_w, "|w(t) - w(0)|/|w(0)| over all neurons at the end", "1"),
        SymbolInfo(R_a, "|a(t) - a(0)|/|a(0)| at the end", "1"),
        SymbolInfo(WIDTH, "number of neurons", "1"),
        SymbolInfo(KAPPA, "beta_1 beta_2/alpha, scale of the output", "label"),
        SymbolInfo(KAPPA_PRIME, "beta_1/beta_2", "1"),
        SymbolInfo(INPUT_DIMENSION, "dimension of the inputs", "1"),
        SymbolInfo(HIDDEN_FORM, "alpha^T K^w alpha, K alpha = y", "label**2"),
        SymbolInfo(OUTPUT_FORM, "alpha^T K^a alpha", "label**2"),
        SymbolInfo(SECOND_ORDER, "constant of second order", "label**2"),
        SymbolInfo(CONSTANT, "an unknown constant of the published bound", "label"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("own", "networks deep in the lazy side, with their own kernels", own),
        Experiment("limit", "replicates against kernels of infinite width", limit),
    ),
    controls=(),
    claims=CLAIMS,
    varied=(str(WIDTH), "gamma", "gamma'"),
    not_shown=(
        "the neighbourhood of the boundary, where the remainder 1/(m kappa) is no longer small",
        "starts with an output that is not zero: pairs of opposite neurons are used throughout",
        "smooth activations, whose kernel of the output weights is nearly singular at small scales",
        "more samples than neurons can express, and losses other than the mean square",
    ),
    references=(
        "T. Luo, Z.-Q. J. Xu, Z. Ma, Y. Zhang. Phase diagram for two-layer ReLU neural networks at "
        "infinite-width limit. JMLR 22 (2021). arXiv:2007.07497.",
        "Y. Cho, L. Saul. Kernel methods for deep learning. NeurIPS 2009.",
    ),
    docs="docs/laws/lazy-prefactor.md",
    derive=derive,
    figures=figures,
)  # fmt: skip
