r"""Exponents of relative change in the width: $S_w$ and $S_a$ in every regime of the phase diagram.

$|w - w_0|/|w_0| \sim m^{S_w}$ and $|a - a_0|/|a_0| \sim m^{S_a}$ at the end of training, with
$\kappa = m^{-\gamma}$ and $\kappa' = m^{-\gamma'}$. The table of `flowtheory.symbolic.slope_table`
is held against ReLU networks, and against the exact limit of linear ones at widths up to 1e15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.diagram_runs import ended
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo, Verification
from flowtheory.phase.data import samples
from flowtheory.phase.psi import psi_changes
from flowtheory.phase.slopes import log_slopes
from flowtheory.symbolic import Derivation, Line
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, WIDTH, slope_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = slope_table(1)
S_w, S_a = sp.Symbol("S_w", real=True), sp.Symbol("S_a", real=True)
HIDDEN = sp.Piecewise(*((r.hidden.expression, sp.And(*r.domain)) for r in TABLE))
# The symmetry; that the table has it is a test.
OUTPUT = HIDDEN.xreplace({GAMMA_PRIME: -GAMMA_PRIME})
SLOPES = (HIDDEN, OUTPUT)
g, gp = GAMMA, GAMMA_PRIME


class Place(NamedTuple):
    """A point, and the labels of the three inputs there."""

    gamma: float
    gamma_prime: float
    data: str

    @property
    def label(self) -> str:
        """Its family."""
        return f"gamma = {self.gamma:g}, gamma' = {self.gamma_prime:g}"


def _places(data: str, *points: tuple[float, float]) -> tuple[Place, ...]:
    return tuple(Place(*point, data) for point in points)


# At least 0.4 from every edge: what is left out falls as the width to the power of the distance.
PLACES = dict(
    zip(
        (regime.name for regime in TABLE),
        (
            _places("three-points-positive", (0.3, -0.6), (0.5, -0.5), (0.6, -0.9)),
            _places("three-points-positive", (0.3, 0.6), (0.5, 0.5), (0.6, 0.8)),
            _places("three-points-positive", (1.5, 1.0), (1.4, 1.2), (1.6, 1.2)),
            _places("three-points-positive", (2.5, 0.0), (2.3, 0.4), (2.3, -0.4)),
            # A frozen output layer: labels that one direction fits.
            _places("three-points-linear", (1.8, -1.6), (2.0, -1.5), (1.6, -1.4)),
        ),
        strict=True,
    )
)
PUBLISHED = (0.5, 1.0, 1.75)


def derive() -> Derivation:
    """The exponents of every regime from its mechanism, and the symmetry between the layers."""
    lines = [
        Line(r.name, sp.Eq(S_w, r.hidden.expression), f"for {sp.And(*r.domain)}") for r in TABLE
    ]
    outputs = [Line(f"{r.name}, output", sp.Eq(S_a, r.output.expression), "") for r in TABLE]
    mirror = Line("both", sp.Eq(S_a, OUTPUT), "S_a is S_w with gamma' -> -gamma'")
    return Derivation("Exponents of relative change in the width", (*lines, *outputs, mirror))


def networks(settings: Settings) -> Iterator[Evidence]:
    """ReLU networks at points of every regime: as many neurons in all at every width."""
    pick = settings.effort.pick
    widths = 2 ** np.arange(10, pick(14, 15, 18))
    for k, places in enumerate(PLACES.values()):
        for point, place in enumerate(places[: pick(2, 3, 3)]):
            for width in map(int, widths):
                for start in range(max(2, pick(16_384, 32_768, 65_536) // width)):
                    seed = _seed(settings, 100 * point + start)
                    yield from _changes("networks", place, width, seed)
        settings.progress("regimes", k + 1, len(PLACES))


def _seed(settings: Settings, start: int) -> int:
    return 1000 * settings.seed + start


def _changes(experiment: str, place: Place, width: int, seed: int) -> Iterator[Evidence]:
    found = ended(*place[:2], width, seed, data=place.data, checked=0)
    for layer in ("w", "a"):
        yield Evidence(
            experiment=experiment,
            family=f"{layer}, {place.label}",
            parameters={"m": width, "gamma": place.gamma, "gamma'": place.gamma_prime},
            measured=found[f"rd_{layer}"],
        )


def closure(settings: Settings) -> Iterator[Evidence]:
    """Linear networks in the exact limit, 20 points of a cloud, m a real number."""
    widths = 10.0 ** np.array(settings.effort.pick((6, 9, 12), (6, 8, 10, 12), (6, 9, 12, 15)))
    x, y = samples("cloud")
    points = settings.effort.pick(1, 3, 3)
    for place in (one for places in PLACES.values() for one in places[:points]):
        at = np.array([place.gamma]), np.array([place.gamma_prime])
        for layer, changes in zip("wa", psi_changes(*at, widths, x, y), strict=True):
            for width, change in zip(widths, changes[:, 0, 0], strict=True):
                yield Evidence(
                    experiment="closure",
                    family=f"{layer}, {place.label}",
                    parameters={"m": width, "gamma": place.gamma, "gamma'": place.gamma_prime},
                    measured=float(change),
                )


def published(settings: Settings) -> Iterator[Evidence]:
    """The exponents of the paper's three points, one number a point."""
    widths = 2 ** np.arange(10, settings.effort.pick(13, 15, 17))
    for gamma in PUBLISHED:
        starts = settings.effort.pick(6, 8, 16)
        seeds = [_seed(settings, k) for k in range(starts)]
        logs = np.log(
            [[ended(gamma, 0.0, int(m), seed, checked=0)["rd_w"] for seed in seeds] for m in widths]
        )
        slopes = log_slopes(logs, widths.astype(float))
        yield Evidence(
            experiment="published",
            family="gamma' = 0",
            parameters={"gamma": gamma, "gamma'": 0.0},
            measured=float(slopes.mean()),
            error=float(slopes.std(ddof=1) / np.sqrt(starts)),
            seed=settings.seed,
        )


_BALANCED = (g - 1 - gp) / 2
# Wrong exponents of each regime, first S_w, then S_a.
_WRONG = (
    (
        {"gamma - 1 + gamma'": g - 1 + gp, "half of it": (g - 1) / 2},
        {"the published bound": g - 1, "gamma - 1 + gamma'": g - 1 + gp},
    ),
    (
        {"the published bound as an equality": g - 1, "gamma - 1 - gamma'": g - 1 - gp},
        {"as the input weights": g - 1 - 2 * gp, "half of it": (g - 1) / 2},
    ),
    (
        {"the published bound as an equality": g - 1 - gp, "balanced growth": _BALANCED},
        {"balanced growth": (g - 1 + gp) / 2, "half of it": (g - 1) / 2},
    ),
    (
        {"p for p + 1": g - 1 - gp, "p = 2": (g - 1 - gp) / 3, "a frozen output": g - 1},
        {"frozen input weights": g - 1, "p = 2": (g - 1 + gp) / 3},
    ),
    (
        {"balanced": _BALANCED, "half of it": (g - 1) / 2, "one carrier": g - sp.Rational(1, 2)},
        {"without the square": g - 1 + gp, "as the input weights": g - 1},
    ),
)


def _regime_claims() -> Iterator[Claim]:
    """S_w and S_a of each regime, in the networks."""
    for regime, wrong in zip(TABLE, _WRONG, strict=True):
        formulas = (regime.hidden.expression, regime.output.expression)
        for layer, slope, along, others in zip("wa", SLOPES, formulas, wrong, strict=True):
            yield Claim(
                f"S_{layer}, {regime.name}", "networks",
                Slope(axis(along * sp.log(WIDTH)), tolerance=0.08, log=True), WIDTH**slope,
                {what: WIDTH**other for what, other in others.items()},
                tuple(f"{layer}, {place.label}" for place in PLACES[regime.name]), axis="m",
            )  # fmt: skip


def _limit_claims() -> Iterator[Claim]:
    """S_w and S_a of all regimes at once, in the limit of large width."""
    places = [place for own in PLACES.values() for place in own]
    lazy = sp.Piecewise((g - 1, g < 1), (g - 1 - gp, gp > g - 1), (HIDDEN, True))
    square = HIDDEN.xreplace({2 * g - 2 * gp - 2: g - gp - 1})
    for layer, slope, other in zip("wa", SLOPES, reversed(SLOPES), strict=True):
        mirrored = {gp: gp if layer == "w" else -gp}
        yield Claim(
            f"S_{layer}, all regimes, limit of large width", "closure",
            Slope(axis(slope * sp.log(WIDTH)), tolerance=1e-3, log=True), WIDTH**slope,
            {
                "that of the other layer": WIDTH**other,
                "the published bounds as equalities": WIDTH ** lazy.xreplace(mirrored),
                "no square where one layer is lazy": WIDTH ** square.xreplace(mirrored),
            },
            tuple(f"{layer}, {place.label}" for place in places), axis="m",
        )  # fmt: skip


def _figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    from flowtheory.laws.figures import claim_figures

    shown = [c for c in CLAIMS if c.name.startswith("S_w") or c.experiment == "published"]
    return claim_figures(shown, verification.rows)


CLAIMS = (
    *_regime_claims(),
    *_limit_claims(),
    Claim(
        "the paper's points: -1/2, 0, 3/8", "published", Equality(0, absolute=0.03), HIDDEN,
        {
            "gamma - 1 throughout": g - 1,
            "(gamma - 1)/2 throughout": (g - 1) / 2,
            "p = 2": sp.Piecewise((g - 1, g <= 1), ((g - 1) / 3, True)),
        },
        axis="gamma",
    ),
)  # fmt: skip

LAW = Law(
    name="phase-slopes",
    title="exponents of relative change in every regime of the two-layer phase diagram",
    statements=(
        Statement(
            "input weights", "derived", sp.Eq(S_w, HIDDEN, evaluate=False),
            "flowtheory, docs/laws/phase-slopes",
            "refines Luo et al. 2021, whose Theorems 6 and 8 have the signs of S_w, and the bounds "
            "gamma - 1 and gamma - 1 - gamma' in the lazy regions",
        ),
        Statement(
            "output weights", "derived", sp.Eq(S_a, OUTPUT, evaluate=False),
            "flowtheory, docs/laws/phase-slopes", "S_w with gamma' -> -gamma'",
        ),
    ),
    symbols=(
        SymbolInfo(S_w, "exponent of |w - w(0)|/|w(0)| in the width", "1"),
        SymbolInfo(S_a, "exponent of |a - a(0)|/|a(0)| in the width", "1"),
        SymbolInfo(GAMMA, "-log kappa/log m", "1"),
        SymbolInfo(GAMMA_PRIME, "-log kappa'/log m", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("networks", "ReLU networks, three inputs, all regimes", networks),
        Experiment("closure", "linear networks in the exact limit of large width", closure),
        Experiment("published", "the three points of the paper", published),
    ),
    controls=(),
    claims=CLAIMS,
    not_shown=(
        "points nearer than 0.4 to an edge, where slopes at these widths are off by up to 0.2",
        "the exponent for a frozen output layer and labels that a ReLU network has to fit with "
        "more than one direction: there it is larger than in the table, see the docs page",
        "starts with an output: pairs (a, w), (-a, w) have none",
    ),
    references=(
        "T. Luo, Z.-Q. J. Xu, Z. Ma, Y. Zhang. Phase diagram for two-layer ReLU neural networks at "
        "infinite-width limit. JMLR 22 (2021). arXiv:2007.07497.",
    ),
    docs="docs/laws/phase-slopes.md",
    derive=derive,
    figures=_figures,
)  # fmt: skip
