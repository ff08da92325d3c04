r"""How many orientations neurons condense on: exact counts, single neurons, networks.

Neurons of multiplicity $p$ condense on maxima of $|H|$ on the sphere, $H(u) = \frac1n\sum_i y_i
(u\cdot x_i)^p$; each such line holds two orientations. At most $2p$ of them was conjectured. That
is true for $p \le 2$ and for $D = 2$; for $D = 3$ the sharp bound is $p^2 - p + 2$.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.flow.fall import fall
from flowtheory.flow.field import Samples, TwoLayer
from flowtheory.judge import Equality, Evidence, LowerBound, UpperBound
from flowtheory.laws.adam import adam
from flowtheory.laws.claim import Claim
from flowtheory.laws.lone_neurons import at_blow_up
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.laws.symmetric_sets import (
    Labelled,
    cube,
    fan,
    icosahedron,
    orthonormal,
    tetrahedron,
)
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.measure.similarity import clusters
from flowtheory.symbolic import Derivation, Line, effective_flow, fully_connected
from flowtheory.symbolic.directions.find import critical_directions
from flowtheory.symbolic.directions.moment import moment_definition
from flowtheory.symbolic.directions.record import Directions, Stability
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.theorems import MULTIPLICITY, orientations

p, D = MULTIPLICITY, INPUT_DIMENSION
N, N_GROWING, N_STABLE = (sp.Symbol(name, positive=True) for name in ("N", "N_+", "N_s"))
SHIFT = sp.Symbol("delta", nonnegative=True)  # of every a by the fit of the mean
RATE, T, EPS, COSINE = (sp.Symbol(name, positive=True) for name in ("lambda", "T", "epsilon", "c"))

CONJECTURE, LOW, SPACE = (formula.expression for formula in orientations())
# The largest of 50 standard normal numbers is about 3.
GROWN = 3 * EPS * sp.cosh(RATE * T)
ONE_LINE: Expr = sp.Piecewise((1, SHIFT > GROWN), (2, True))

WIDTH, SAMPLES = 50, 20
NEURONS, ROWS = 512, 7


def derive() -> Derivation:
    """From the leading flow to the direction flow, and to the bounds."""
    flow = effective_flow(fully_connected(2, "z**2*tanh(z)"), "half_mse")
    (_, force), (_, output) = flow.field.components
    r, u, H, a = sp.symbols("r u H a")
    gradient = sp.Symbol("grad_H")
    pairs = (p - 1) ** 2 + (p - 1) + 1
    return Derivation(
        "Orientations of condensation",
        (
            Line("input weights", sp.Eq(sp.Symbol("w'"), force), "p = 3, as example"),
            Line("output weight", sp.Eq(sp.Symbol("a'"), output), "H(w)"),
            Line("moment", sp.Eq(*moment_definition(3)), "H(u) is this tensor at (u, u, u)"),
            Line("direction", sp.Eq(sp.Symbol("u'"), a * r ** (p - 2) * (gradient - p * H * u)),
                 "a > 0 climbs H on the sphere, a < 0 descends"),
            Line("growth", sp.Eq(sp.Symbol("r'"), p * a * r ** (p - 1) * H),
                 "only where a H > 0: maxima of |H|"),
            Line("D = 2", sp.Le(N, LOW), "stationary points: roots of a polynomial of degree p"),
            Line("D = 3, lines", sp.Eq(sp.Symbol("lines"), pairs), "complex, of a generic tensor"),
            Line("Morse", sp.Eq(N / 2 - sp.Symbol("saddles"), 1), "all extrema, on the projective "
                 "plane, and N/2 + saddles at most the number of lines"),
            Line("D = 3", sp.Le(N, SPACE), "attained for p = 3, 4, 6"),
        ),
    )  # fmt: skip


def _stable(found: Directions) -> int:
    """Orientations that are stable for one sign of a, whether neurons grow there or not."""
    stable = (
        any(line.stability(sign) is Stability.STABLE for sign in (1, -1)) for line in found
    )  # fmt: skip
    return 2 * sum(stable)


def _parameters(found: Directions) -> dict[str, Any]:
    return {"p": found.order, "D": found.dimension, "N_+": found.count, "N_s": _stable(found)}


def counts(settings: Settings) -> Iterator[Evidence]:
    """Exact counts: random data sets, and symmetric ones that attain the bounds."""
    cases = settings.effort.pick(12, 60, 250)
    highest = settings.effort.pick(4, 5, 5)
    rng = np.random.default_rng([settings.seed, 0])
    for order in range(1, highest + 1):
        for dimension in (2, 3, 6) if order <= 2 else (2, 3):
            for _ in range(cases):
                x, y = rng.standard_normal((12, dimension)), rng.standard_normal(12)
                kind = "p <= 2" if order <= 2 else f"D = {dimension}"
                yield from _count(kind, Labelled("random", order, x, y), settings.seed)
        settings.progress("orders", order, highest)
    for order in range(2, settings.effort.pick(6, 8, 8)):
        yield from _count("fan", fan(order))
    for one in (tetrahedron(), cube(), icosahedron()):
        yield from _count("solid", one)
    for order, dimension in ((3, 3), (3, 4), (3, 5), (4, 3), (4, 4), (5, 3)):
        signs = rng.choice([-1.0, 1.0], dimension)
        labels = signs * rng.uniform(0.5, 2.0, dimension)
        yield from _count("orthonormal", orthonormal(order, labels), settings.seed)


def _count(family: str, data: Labelled, seed: int | None = None) -> Iterator[Evidence]:
    found = critical_directions(data.x, data.y, data.order)
    # A count that may miss a line is no measurement.
    if found.guarantee.complete:
        yield Evidence(
            experiment="counts",
            family=family,
            parameters=_parameters(found),
            measured=float(found.count),
            seed=seed,
            note=f"{data.name}: {found.guarantee.value}",
        )


def neurons(settings: Settings) -> Iterator[Evidence]:
    """Single neurons from random starts to their blow-up: their orientations, by clusters."""
    rng = np.random.default_rng([settings.seed, 1])
    orders = settings.effort.pick((3,), (2, 3, 4), (2, 3, 4, 5))
    for order in orders:
        sets = [fan(order), orthonormal(order, np.ones(3))] if order > 2 else [fan(2)]
        sets += [one for one in (tetrahedron(), cube()) if one.order == order]
        for _ in range(settings.effort.pick(5, 20, 100)):
            dimension = int(rng.integers(2, 4))
            x, y = rng.standard_normal((ROWS, dimension)), rng.standard_normal(ROWS)
            sets.append(Labelled("random", order, x, y))
        for data in sets:
            yield from _lone(data, rng, settings.seed)


def _lone(data: Labelled, rng: np.random.Generator, seed: int) -> Iterator[Evidence]:
    found = critical_directions(data.x, data.y, data.order)
    ends = at_blow_up(data.order, *_padded(data), NEURONS, rng)
    groups = clusters(ends.directions, threshold=0.999)
    known = {"blew up": len(ends.signs), "did not": ends.remaining}
    parameters = {**_parameters(found), "h": NEURONS}
    common = {"experiment": "neurons", "parameters": parameters, "seed": seed}
    random = "random" if data.name == "random" else "symmetric"
    yield Evidence(
        **common, family=random, measured=groups.number.value, counts=known, note=data.name
    )
    own = found.growing_orientations
    lines = np.pad([one.direction for one in own], ((0, 0), (0, 3 - found.dimension)))
    same = ends.signs[:, None] * np.array([one.sign for one in own]) > 0
    cosines = np.where(same, ends.directions @ lines.T, -1.0).max(axis=1)
    yield Evidence(**common, family="alignment", measured=float(cosines.min()), note=data.name)


def _padded(data: Labelled) -> tuple[Float[np.ndarray, "rows 3"], Float[np.ndarray, " rows"]]:
    """Data of one shape, for one compilation: inputs that are 0 and labels 0 change nothing."""
    missing = (0, ROWS - len(data.y))
    return np.pad(data.x, (missing, (0, 3 - data.x.shape[1]))), np.pad(data.y, missing)


class _Trial(NamedTuple):
    """A network on a data set: its activation, neurons, and the loss at which leaders are seen."""

    data: Labelled
    activation: str
    width: int
    level: float


def networks(settings: Settings) -> Iterator[Evidence]:
    """Real networks: Adam as published, and the first leaders of gradient flow."""
    trials = (
        _Trial(tetrahedron(), "z**2*tanh(z)", 100, 0.95),
        _Trial(cube(), "z**3*tanh(z)", 400, 0.98),
        _Trial(orthonormal(3, np.ones(3)), "z**2*tanh(z)", 100, 0.95),
    )
    for k, (data, activation, width, level) in enumerate(trials):
        found = critical_directions(data.x, data.y, data.order)
        common = {"experiment": "networks", "parameters": _parameters(found), "note": data.name}
        model = two_layer_model(activation, "half_mse")
        x, y = _padded(data)
        seen = Samples(1.5 * x, y, np.float64(1 / len(data.y)))  # type: ignore[arg-type]
        for start in range(settings.effort.pick(2, 5, 40)):
            rng = np.random.default_rng([settings.seed, 2, k, start])
            end = adam(model, seen, _start(rng, width, 0.02), 1e-6, step=2e-4)
            weights = np.asarray(end.params.W)
            if data.name == "orthonormal":
                unit = weights / np.linalg.norm(weights, axis=1, keepdims=True)
                share = np.mean(np.abs(unit).max(axis=1) > 0.98)
                yield Evidence(**common, family="Adam, share", measured=float(share), seed=start)
            else:
                number = clusters(weights, threshold=0.98, least=0.1).number.value
                yield Evidence(**common, family="Adam", measured=number, seed=start)
        rng = np.random.default_rng([settings.seed, 3, k])
        leaders = []
        whole = float(np.mean(data.y**2)) / 2
        for _ in range(settings.effort.pick(15, 40, 100) * _parameters(found)["N_+"]):
            end = fall(model, seen, _start(rng, 20, 1e-3), level * whole, c=0.3)
            weights = np.asarray(end.params.W)
            sizes = np.linalg.norm(weights, axis=1)
            leaders.append(weights[sizes > 0.5 * sizes.max()])
        number = clusters(np.concatenate(leaders), threshold=0.9).number.value
        yield Evidence(**common, family="leaders", measured=number, seed=settings.seed)


def _start(rng: np.random.Generator, width: int, scale: float) -> TwoLayer:
    v, W = rng.standard_normal(width), rng.standard_normal((width, 3))
    return TwoLayer(scale * W, scale * v)  # type: ignore[arg-type]


OUTPUT_AT_ZERO = {"tanh": (0.0, 1.0), "sigmoid": (0.5, 0.25), "softplus": (np.log(2), 0.5)}
_MEANS = {"mean 0": 0.0, "small mean": 2.5e-4, "mean 1": 1.0}


def multiplicity_one(settings: Settings) -> Iterator[Evidence]:
    """Random data: orientations of a layer of multiplicity 1 when its loss has begun to fall."""
    names = settings.effort.pick(("tanh", "sigmoid"), tuple(OUTPUT_AT_ZERO), tuple(OUTPUT_AT_ZERO))
    for case in range(settings.effort.pick(3, 12, 60)):
        rng = np.random.default_rng([settings.seed, 4, case])
        x = rng.standard_normal((SAMPLES, 3)) + np.array([0.5, 0.0, 0.0])
        teacher = rng.standard_normal(3)
        y = np.tanh(1.3 * x @ teacher / np.linalg.norm(teacher))
        for name in names:
            for mean in _MEANS:
                start = _start(rng, WIDTH, 1e-6)
                yield from _begun(name, mean, x, y - y.mean(), start)


def _begun(
    name: str,
    mean: str,
    x: Float[np.ndarray, "n D"],
    centred: Float[np.ndarray, " n"],
    start: TwoLayer,
) -> Iterator[Evidence]:
    (zero, slope), y = OUTPUT_AT_ZERO[name], centred + _MEANS[mean]
    fitted = centred if zero else y  # what is left when the constant has been fitted
    z, plain = slope * x.T @ fitted / len(y), x.T @ y / len(y)
    seen = Samples(x, y, np.float64(1 / len(y)))  # type: ignore[arg-type]
    level = 0.97 * float(np.mean(fitted**2)) / 2
    end = fall(two_layer_model(name, "half_mse"), seen, start, level, c=0.3)
    W = np.asarray(end.params.W)
    shift = _MEANS[mean] / (WIDTH * zero) if zero else 0.0
    largest = W[np.argmax(np.linalg.norm(W, axis=1))]
    known = {
        "p": 1, "D": 3, "delta": shift, "epsilon": 1e-6, "lambda": float(np.linalg.norm(z)),
        "T": end.time, "c": _cosine(z, plain),
    }  # fmt: skip
    number = clusters(W, threshold=0.98, least=0.05).number.value
    common = {"experiment": "multiplicity one", "parameters": known, "note": f"{name}, {mean}"}
    yield Evidence(**common, family="orientations", measured=number)
    yield Evidence(**common, family="alignment", measured=_cosine(largest, z))


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(abs(one @ other) / (np.linalg.norm(one) * np.linalg.norm(other)))


# Counts are whole numbers.
_SAME = Equality(0, absolute=0.5)
_ONE, _TWO = sp.Integer(1), sp.Integer(2)

CLAIMS = (
    Claim(
        "p <= 2: at most 2p, in any dimension", "counts", UpperBound(), LOW,
        {"one line, as for p = 1": _TWO, "2(p - 1)": sp.Max(1, 2 * p - 2)}, ("p <= 2",), "p",
    ),
    Claim(
        "D = 2: at most 2p", "counts", UpperBound(), LOW,
        {"2(p - 1)": 2 * p - 2, "one line": _TWO}, ("D = 2", "fan"), "p",
    ),
    Claim(
        "D = 2: 2p are attained", "counts", _SAME, LOW,
        {"2(p - 1)": 2 * p - 2, "p": p, "2p lines": 4 * p}, ("fan",), "p",
    ),
    Claim(
        "at least one line", "counts", LowerBound(), _TWO,
        {"p lines always": 2 * p, "two lines always": sp.Integer(4)},
        ("p <= 2", "D = 2", "D = 3"), "p",
    ),
    Claim(
        "D = 3: at most p^2 - p + 2", "counts", UpperBound(), SPACE,
        {"the conjecture 2p": CONJECTURE, "2(p + 1)": CONJECTURE + 2, "one line less": SPACE - 2},
        ("D = 3", "solid"), "p",
    ),
    Claim(
        "D = 3: p^2 - p + 2 are attained", "counts", _SAME, SPACE,
        {"the conjecture 2p": CONJECTURE, "half of all critical lines": SPACE - 1, "p^2": p**2},
        ("solid",), "p",
    ),
    Claim(
        "orthonormal data: D lines for p >= 3", "counts", _SAME, 2 * D,
        {"the conjecture 2p": CONJECTURE, "without the test of growth": N_STABLE},
        ("orthonormal",), "D",
    ),
    Claim(
        "single neurons: as many as counted, symmetric data", "neurons", _SAME, N_GROWING,
        {
            "the conjecture 2p": CONJECTURE,
            "without the test of growth": N_STABLE,
            "one orientation a line": N_GROWING / 2,
        },
        ("symmetric",), "N_+",
    ),
    Claim(
        "single neurons: no more than counted, random data", "neurons", UpperBound(), N_GROWING,
        {"one line less": sp.Max(1, N_GROWING - 2), "one orientation a line": N_GROWING / 2},
        ("random",), "N_+",
    ),
    Claim(
        "every neuron is aligned when it blows up", "neurons", Equality(1e-6), _ONE,
        {"off by a degree": sp.cos(sp.pi / 180)}, ("alignment",), "N_+",
    ),
    Claim(
        "networks: as many as counted", "networks", _SAME, N_GROWING,
        {
            "the conjecture 2p": CONJECTURE,
            "without the test of growth": N_STABLE,
            "one orientation a line": N_GROWING / 2,
        },
        ("Adam", "leaders"), "N_+",
    ),
    Claim(
        "Adam has directions of its own: less than half on those of the flow", "networks",
        UpperBound(), sp.Rational(1, 2), {"none": sp.Rational(1, 20)}, ("Adam, share",),
    ),
    Claim(
        "p = 1: one line, and one orientation if the shift leads", "multiplicity one", _SAME,
        ONE_LINE,
        {
            "always two": _TWO,
            "one if the shift exceeds the start": sp.Piecewise((1, SHIFT > 3 * EPS), (2, True)),
            "always one": _ONE,
        },
        ("orientations",),
    ),
    Claim(
        "p = 1: along the moment of what the constant leaves", "multiplicity one", Equality(0.02),
        _ONE, {"the moment of the labels": COSINE}, ("alignment",), "c",
    ),
)  # fmt: skip

_SOURCE = "Zhou et al. 2021, arXiv:2105.11686"
_OWN = "flowtheory, docs/laws/condensed-orientations"

LAW = Law(
    name="condensed-orientations",
    title="how many orientations neurons condense on",
    statements=(
        Statement(
            "one or two inputs", "published", sp.Le(N, LOW, evaluate=False), _SOURCE,
            "proved there for p = 1 and for D = 2",
        ),
        Statement(
            "any dimension", "conjecture", sp.Le(N, CONJECTURE, evaluate=False), _SOURCE,
            "from experiments; refuted here for D >= 3, p >= 3 (tetrahedron, p = 3: 8 > 6)",
        ),
        Statement(
            "three inputs", "derived", sp.Le(N, SPACE, evaluate=False), _OWN,
            "D = 3, generic data; attained for p = 3, 4 and 6: 8, 14 and 32",
        ),
        Statement(
            "orthonormal data", "derived", sp.Eq(N, 2 * D, evaluate=False), _OWN,
            "p >= 3, any labels: no bound by p alone exists",
        ),
        Statement(
            "multiplicity one", "derived", sp.Eq(N, ONE_LINE, evaluate=False), _OWN,
            "sigma(0) != 0 shifts every a by delta = ymean/(m sigma(0)); delta = 0 for tanh",
        ),
    ),
    symbols=(
        SymbolInfo(N, "orientations that are stable and growing", "1"),
        SymbolInfo(p, "multiplicity of the activation", "1"),
        SymbolInfo(D, "dimension of the inputs, the bias included", "1"),
        SymbolInfo(SHIFT, "shift of the output weights by the fit of the mean", "1"),
        SymbolInfo(EPS, "standard deviation of the weights", "1"),
        SymbolInfo(RATE, "rate of growth, c_1 |z|", "1"),
        SymbolInfo(T, "time of the measurement", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("counts", "exact counts of maxima of |H|", counts),
        Experiment("neurons", "single neurons up to their blow-up", neurons),
        Experiment("networks", "Adam, and leaders of gradient flow", networks),
        Experiment("multiplicity one", "tanh, sigmoid, softplus", multiplicity_one),
    ),
    controls=(),
    claims=CLAIMS,
    not_shown=(
        "whether p^2 - p + 2 is attained for D = 3 and p = 5 or p > 6, and a sharp bound for D > 3",
        "Adam on data without the symmetry of the solids: its directions are others than those of "
        "the flow, and no theory of their number is given",
        "the later stages, where the labels that are left change H",
    ),
    references=(
        "H. Zhou, Q. Zhou, T. Luo, Y. Zhang, Z.-Q. J. Xu. Towards understanding the condensation "
        "of neural networks at initial training. arXiv:2105.11686.",
        "D. Cartwright, B. Sturmfels. The number of eigenvalues of a tensor. Linear Algebra Appl. "
        "438 (2013).",
    ),
    docs="docs/laws/condensed-orientations.md",
    derive=derive,
)  # fmt: skip
