r"""One threshold per degree: the linear part of the labels is lazy where the rest is not.

With $a \sim m^{-\gamma_a}$ and $w \sim m^{-\gamma_w}$ what the labels have in degree $k$ is fitted
by weights near their start iff $\gamma_k = \gamma_a + k\gamma_w < 1$. So the relative changes of
weights at the end of a fit that needs degree $q$ have the exponents of the table with $\gamma_q$ in
place of $\gamma$, although the network is lazy as far as its lowest degree goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.diagram_runs import cell_of, ended
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo, Verification
from flowtheory.lower import numeric
from flowtheory.measure import relative_distance
from flowtheory.phase.data import samples
from flowtheory.phase.lazy import Kernels, lazy_forms, lazy_kernels, network_kernels
from flowtheory.phase.probe import run_cell
from flowtheory.phase.psi import linear_floor
from flowtheory.symbolic import Derivation, Line
from flowtheory.symbolic.lazy import HIDDEN_FORM, OUTPUT_FORM, lazy_limit
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, KAPPA, KAPPA_PRIME, WIDTH, slope_table
from flowtheory.symbolic.thresholds import GAMMA_A, GAMMA_ALPHA, GAMMA_W, degree_thresholds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

m = WIDTH
q = sp.Symbol("q", integer=True, positive=True)
S_w, S_a, D, gamma_q = (sp.Symbol(name, real=True) for name in ("S_w", "S_a", "Delta", "gamma_q"))
R_w, R_a = sp.Symbol("R_w", positive=True), sp.Symbol("R_a", positive=True)

DEGREES = {
    "z + z**3": 3, "z + z**2": 2, "z + z**5": 5, "tanh": 3, "sin": 3, "gelu": 2,
}  # fmt: skip
"""The second degree of activations of multiplicity 1."""
DATA = "three-points-positive"
"""On three inputs of a line with a bias, every degree fits what linear functions leave."""


def _gamma_of(degree: int) -> sp.Expr:
    """The engine's gamma_k."""
    thresholds = degree_thresholds(f"z**{degree}", degree)
    return thresholds[0].gamma.expression.subs(GAMMA_ALPHA, 0)


GAMMA_Q = sp.Piecewise(
    *((_gamma_of(k), sp.Eq(q, k)) for k in sorted({1, *DEGREES.values()})), (sp.nan, True)
)
PRIME = GAMMA_A - GAMMA_W
# The lazy side of the table: the kernel of the input weights leads, or that of the output weights.
_SIDES = slope_table(1)[:2]


def exponents(gamma: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """S_w and S_a of the lazy side, with a gamma in place of that of the lowest degree."""
    at = {GAMMA: gamma, GAMMA_PRIME: PRIME}
    first, second = (
        sp.Piecewise(
            (getattr(_SIDES[0], layer).expression.xreplace(at), PRIME <= 0),
            (getattr(_SIDES[1], layer).expression.xreplace(at), True),
        )
        for layer in ("hidden", "output")
    )
    return first, second


SLOPES = exponents(GAMMA_Q)
LIMIT = lazy_limit()
CHANGES = (LIMIT.hidden_change.expression, LIMIT.output_change.expression)
KEYS = ("rd_w", "rd_a")
_ARGUMENTS = (WIDTH, KAPPA, KAPPA_PRIME, INPUT_DIMENSION, HIDDEN_FORM, OUTPUT_FORM)
LEADER = GAMMA_W  # a neuron of weights of order 1, in units of its start


class Place(NamedTuple):
    """Scales and an activation; `q` is the degree that the fit needs."""

    activation: str
    gamma_a: float
    gamma_w: float

    @property
    def q(self) -> int:
        """Of the activation."""
        return DEGREES[self.activation]

    @property
    def label(self) -> str:
        """Its family."""
        return f"{self.activation}, ({self.gamma_a:.3g}, {self.gamma_w:.3g})"

    def at(self, width: float, **fixed: Any) -> dict[str, Any]:
        """Arguments of `cell_of` and `ended`, but for the seed."""
        return {
            "gamma": self.gamma_a + self.gamma_w, "gamma_prime": self.gamma_a - self.gamma_w,
            "width": width, "activation": self.activation, "eps": float(width) ** -self.gamma_w,
            "data": DATA, "checked": 0, **fixed,
        }  # fmt: skip

    def parameters(self, width: float, q: int) -> dict[str, Any]:
        """Of the rows."""
        return {"m": width, "gamma_a": self.gamma_a, "gamma_w": self.gamma_w, "q": q}


CUBE, SQUARE = "z + z**3", "z + z**2"
# gamma_q < 1 on both sides of gamma' = 0, and on it.
LAZY = (
    Place(CUBE, 0.2, 0.2), Place(CUBE, -0.2, 0.25), Place(SQUARE, 0.2, 0.2),
    Place(SQUARE, -0.2, 0.3), Place(SQUARE, 0.4, 0.15),
)  # fmt: skip
IN_LIMIT = (
    *LAZY, Place(CUBE, 0.35, 0.15), Place("sin", 0.2, 0.2), Place("tanh", 0.2, 0.2),
    Place("gelu", 0.2, 0.2), Place("z + z**5", 0.1, 0.12), Place("z + z**5", -0.3, 0.12),
)  # fmt: skip
# gamma_1 < 1 < gamma_q: the linear part is lazy, what follows is not.
LINEAR = (Place(CUBE, 0.4, 0.4), Place(CUBE, 0.1, 0.5), Place(CUBE, 0.6, 0.25))
BEYOND = (
    Place(CUBE, 0.1, 0.7), Place(CUBE, 0.2, 0.7), Place(SQUARE, 0.1, 0.7), Place(SQUARE, 0.2, 0.7),
)  # fmt: skip
# gamma_q = 1, on the side on which the layer is the one that moves most.
_THIRD = 1 / 3
LINE = {
    "w": (
        Place(CUBE, 0.25, 0.25), Place(CUBE, -0.05, 0.35), Place(SQUARE, _THIRD, _THIRD),
        Place(SQUARE, 0.1, 0.45),
    ),
    "a": (
        Place(CUBE, 0.25, 0.25), Place(CUBE, 0.4, 0.2), Place(SQUARE, _THIRD, _THIRD),
        Place(SQUARE, 0.5, 0.25),
    ),
}  # fmt: skip


def derive() -> Derivation:
    """The scales of the degrees, the table with each of them, and what lies beyond."""
    third = degree_thresholds("tanh", 3)
    lines = [
        Line(f"degree {one.degree}", sp.Eq(sp.Symbol("kappa_k"), one.kappa.expression), "of tanh")
        for one in third
    ]
    lines += [
        Line(f"threshold of degree {one.degree}", one.boundary, "in the plane") for one in third
    ]
    for side in _SIDES:
        lines.append(Line(side.name, sp.Eq(S_w, side.hidden.expression), "gamma: that of degree q"))
    return Derivation(
        "One threshold per degree",
        (
            *lines,
            Line("change of w", sp.Eq(R_w, CHANGES[0]), "lazy, by the kernels"),
            Line("change of a", sp.Eq(R_a, CHANGES[1]), ""),
            Line("beyond", sp.Eq(D, LEADER), "a neuron has weights of order 1"),
        ),
    )


def linear(settings: Settings) -> Iterator[Evidence]:
    """RD when nine tenths of what a linear function fits are fitted."""
    floor = linear_floor(*samples(DATA))
    for place in LINEAR:
        # Few steps, and scales at which epsilon^2 is small.
        for width, seed in product((2**10, 2**12, 2**14), _seeds(settings, 4)):
            found = ended(seed=seed, **place.at(width, loss=1 - 0.9 * (1 - floor)))
            yield from _both("linear", place, place.parameters(width, 1), found)
    settings.progress("linear part", 1, 1)


def limit(settings: Settings) -> Iterator[Evidence]:
    """RD by the kernels of infinitely many neurons, at the scales of widths of up to 1e12."""
    x, _ = samples(DATA)
    for place in IN_LIMIT:
        # The least eigenvalue over the largest is eps^(2 (q - 1)): four digits are left.
        top = min(12.0, 6 / ((place.q - 1) * place.gamma_w))
        for width in 10.0 ** np.linspace(top - 2, top, 3):
            kernels = lazy_kernels(x, place.activation, width**-place.gamma_w)
            symbols = _symbols(place, width, kernels, (x.shape[1], 1.0))
            values = [symbols[str(symbol)] for symbol in _ARGUMENTS]
            found = {key: float(f(*values)) for key, f in _changes().items()}
            yield from _both("limit", place, place.parameters(width, place.q), found)
    settings.progress("kernels", 1, 1)


def networks(settings: Settings) -> Iterator[Evidence]:
    """RD at the end of the whole fit, beside the kernels of the very neurons."""
    x, _ = samples(DATA)
    width = settings.effort.pick(1024, 2048, 8192)
    for place in LAZY:
        for seed in _seeds(settings, 2):
            fixed = place.at(width, loss=1e-6)
            first, end, _, _ = run_cell(cell_of(seed=seed, **fixed), 1.0)
            W, v = (np.asarray(part) for part in first)
            a = v * width ** (place.gamma_a - place.gamma_w)
            kernels = network_kernels(W, a, x, place.activation, fixed["eps"])
            squares = float(np.sum(W**2)) / width, float(np.mean(a**2))
            parameters = place.parameters(width, place.q)
            parameters |= _symbols(place, width, kernels, squares)
            moved = (relative_distance(*pair) for pair in zip(end.params, (W, v), strict=True))
            values = (one.frobenius.value for one in moved)
            found: dict[str, float] = dict(zip(KEYS, values, strict=True))
            yield from _both("networks", place, parameters, found)
    settings.progress("whole fit", 1, 1)


def line(settings: Settings) -> Iterator[Evidence]:
    """RD of the layer that moves most, where gamma_q = 1."""
    for layer, places in LINE.items():
        for place in places:
            for width, seed in _starts(settings, 1024, 4096):
                found = ended(seed=seed, **place.at(width, loss=0.05))
                parameters = place.parameters(width, place.q)
                yield _row("line", f"{layer}, {place.label}", parameters, found[f"rd_{layer}"])
    settings.progress("threshold", 1, 1)


def beyond(settings: Settings) -> Iterator[Evidence]:
    """The largest displacement of a neuron, where gamma_1 < 1 < gamma_q."""
    for place in BEYOND:
        for width, seed in _starts(settings, 512, 2048):
            found = ended(seed=seed, **place.at(width, loss=0.05, max_steps=10**6))
            parameters = place.parameters(width, place.q)
            yield _row("beyond", place.label, parameters, found["displacement"])
    settings.progress("beyond", 1, 1)


def _starts(settings: Settings, widest: int, neurons: int) -> Iterator[tuple[int, int]]:
    """Widths from 128 and seeds, of as many neurons in all at every width."""
    more = 2 ** settings.effort.pick(0, 1, 2)
    width = 128
    while width <= more * widest:
        for seed in _seeds(settings, more * neurons // width):
            yield width, seed
        width *= 2


def _seeds(settings: Settings, count: int) -> range:
    return range(1000 * settings.seed, 1000 * settings.seed + count)


def _symbols(
    place: Place, width: float, kernels: Kernels, squares: tuple[float, float]
) -> dict[str, float]:
    """The symbols of the lazy changes; squares are the means of |w(0)|^2 and of a(0)^2."""
    ratio = width ** (place.gamma_w - place.gamma_a)
    output, hidden = lazy_forms(kernels, samples(DATA).y, ratio)
    values = (width, width ** -(place.gamma_a + place.gamma_w), ratio)
    values += (squares[0], hidden, output / squares[1])
    return dict(zip(map(str, _ARGUMENTS), values, strict=True))


@cache
def _changes() -> dict[str, Callable[..., Any]]:
    return {key: numeric(one, _ARGUMENTS) for key, one in zip(KEYS, CHANGES, strict=True)}


def _both(
    experiment: str, place: Place, parameters: Mapping[str, Any], found: Mapping[str, float]
) -> Iterator[Evidence]:
    for key in KEYS:
        yield _row(experiment, f"{key[-1]}, {place.label}", parameters, found[key])


def _row(experiment: str, family: str, parameters: Mapping[str, Any], measured: float) -> Evidence:
    return Evidence(
        experiment=experiment, family=family, parameters=dict(parameters), measured=measured
    )


def _families(layer: str, places: Sequence[Place]) -> tuple[str, ...]:
    return tuple(f"{layer}, {place.label}" for place in places)


def _lazy_claims() -> Iterator[Claim]:
    """Both parts of the fit where weights stay near their start."""
    shifted = {by: exponents(GAMMA_Q + by * GAMMA_W) for by in (-1, 1, 2)}
    first = exponents(_gamma_of(1))
    for k, (layer, slope, change) in enumerate(zip("wa", SLOPES, CHANGES, strict=True)):
        along = Slope(axis(slope * sp.log(m)), tolerance=0.1, log=True)
        yield Claim(
            f"linear part: S_{layer} of degree 1", "linear", along, m**slope,
            {
                "that of degree 2": m ** shifted[1][k],
                "that of degree 3": m ** shifted[2][k],
                "the other layer": m ** SLOPES[1 - k],
            },
            _families(layer, LINEAR), "m",
        )  # fmt: skip
        yield Claim(
            f"whole fit: S_{layer} of degree q, in the limit of large width", "limit",
            Slope(axis(slope * sp.log(m)), tolerance=0.01, log=True), m**slope,
            {
                "that of degree 1": m ** first[k],
                "q - 1 for q": m ** shifted[-1][k],
                "q + 1 for q": m ** shifted[1][k],
                "the other layer": m ** SLOPES[1 - k],
            },
            _families(layer, IN_LIMIT), "m",
        )  # fmt: skip
        scale = WIDTH**-GAMMA_W  # epsilon
        yield Claim(
            f"whole fit: change of {layer} by the kernels", "networks", Equality(0.02), change,
            {
                "the scale of degree 1": change * scale ** (q - 1),
                "the scale of degree q - 1": change * scale,
                "the scale of degree q + 1": change / scale,
            },
            _families(layer, LAZY),
        )  # fmt: skip


def _claims() -> Iterator[Claim]:
    yield from _lazy_claims()
    at = {by: exponents(GAMMA_Q + by * GAMMA_W) for by in (-1, 1)}
    first = exponents(_gamma_of(1))
    for k, (layer, slope) in enumerate(zip("wa", SLOPES, strict=True)):
        yield Claim(
            f"gamma_q = 1: {layer} moves by a part of its size that no width changes", "line",
            Slope(axis(sp.log(m)), floor=0.1, log=True), m**slope,
            {
                "the threshold of degree 1": m ** first[k],
                "that of degree q - 1": m ** at[-1][k],
                "that of degree q + 1": m ** at[1][k],
            },
            _families(layer, LINE[layer]), "m",
        )  # fmt: skip
    share = (GAMMA_Q - 1 - PRIME) / (q + 1)
    yield Claim(
        "gamma_1 < 1 < gamma_q: a neuron goes m^gamma_w", "beyond",
        Slope(axis(LEADER * sp.log(m)), tolerance=0.2, log=True), m**LEADER,
        {
            "lazy, as degree 1 is": m ** first[0],
            "as the root mean square": m ** (LEADER - sp.Rational(1, 2)),
            "all neurons share the fit": m**share,
        },
        axis="m",
    )  # fmt: skip


CLAIMS = tuple(_claims())


def _figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    from flowtheory.laws.figures import claim_figures

    return claim_figures([claim for claim in CLAIMS if claim.axis], verification.rows)


_SOURCE = "flowtheory, docs/laws/thresholds-by-degree"

LAW = Law(
    name="thresholds-by-degree",
    title="one condensation threshold per degree of a smooth activation at small weights",
    statements=(
        Statement(
            "scale of a degree", "derived", sp.Eq(gamma_q, GAMMA_A + q * GAMMA_W, evaluate=False),
            _SOURCE, "the plane of published diagrams has that of the lowest degree alone",
        ),
        Statement(
            "input weights", "derived",
            sp.Eq(S_w, gamma_q - 1 - 2 * sp.Max(0, PRIME), evaluate=False), _SOURCE,
            "gamma_q < 1, at the end of a fit that needs degree q",
        ),
        Statement(
            "output weights", "derived",
            sp.Eq(S_a, gamma_q - 1 + 2 * sp.Min(0, PRIME), evaluate=False), _SOURCE,
            "gamma_q < 1, at the end of a fit that needs degree q",
        ),
        Statement(
            "beyond", "derived", sp.Eq(D, LEADER, evaluate=False), _SOURCE,
            "gamma_1 < 1 < gamma_q: exponent of the largest displacement over the rms of the start",
        ),
    ),
    symbols=(
        SymbolInfo(S_w, "exponent of |w - w(0)|/|w(0)| in the width", "1"),
        SymbolInfo(S_a, "exponent of |a - a(0)|/|a(0)| in the width", "1"),
        SymbolInfo(D, "exponent of the largest displacement of a neuron", "1"),
        SymbolInfo(gamma_q, "minus the exponent of nu epsilon^q in the width", "1"),
        SymbolInfo(GAMMA_A, "minus the exponent of nu, the standard deviation of a", "1"),
        SymbolInfo(GAMMA_W, "minus the exponent of epsilon, the standard deviation of w", "1"),
        SymbolInfo(q, "degree that the fit needs", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("linear", "networks at nine tenths of the linear part", linear),
        Experiment("limit", "kernels of infinitely many neurons", limit),
        Experiment("networks", "networks at the end of the whole fit", networks),
        Experiment("line", "networks on the thresholds of degree 2 and 3", line),
        Experiment("beyond", "networks beyond the threshold of the second degree", beyond),
    ),
    controls=(),
    claims=CLAIMS,
    not_shown=(
        "RD beyond the threshold: whether one neuron or many carry what is left changes slowly "
        "with the width, and at a thousand neurons RD has the exponent of neither",
        "exponents of networks of tanh at these widths: corrections of order epsilon^2 are large",
        "third degrees: fits that need more than two",
    ),
    references=(
        "T. Luo, Z.-Q. J. Xu, Z. Ma, Y. Zhang. Phase diagram for two-layer ReLU neural networks at "
        "infinite-width limit. JMLR 22 (2021). arXiv:2007.07497.",
        "Z. Chen, Y. Li, T. Luo, Z. Zhou, Z.-Q. J. Xu. Phase diagram of initial condensation for "
        "two-layer neural networks. arXiv:2303.06561.",
    ),
    docs="docs/laws/thresholds-by-degree.md",
    derive=derive,
    figures=_figures,
)  # fmt: skip
