r"""Leaders: for multiplicity $p \ge 2$ gradient flow lets $O(1)$ neurons carry the fit.

Blow-up times of neurons are spread over their own size, so the first ones fit the labels while the
others have hardly moved. Then $\kappa a w^p = 1$ for one neuron instead of $m\kappa a w^p = 1$ for
all, and the root mean square over $m$ neurons divides by $\sqrt m$.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.diagram_runs import cell_of, ended
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.phase.probe import run_cell
from flowtheory.symbolic import Derivation, Line
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, WIDTH, leader_slopes, slope_table

g, gp, m = GAMMA, GAMMA_PRIME, WIDTH
p = sp.Symbol("p", integer=True, positive=True)
S_w, S_a, D = (sp.Symbol(name, real=True) for name in ("S_w", "S_a", "D"))
HALF = sp.Rational(1, 2)


def _of_multiplicity(two: sp.Expr, three: sp.Expr) -> sp.Expr:
    """What the engine gives for p = 2 and for p = 3."""
    return sp.Piecewise((two, sp.Eq(p, 2)), (three, True))


_BOTH = tuple(zip(leader_slopes(2), leader_slopes(3), strict=True))
BALANCED, FROZEN = (
    tuple(
        _of_multiplicity(*(getattr(one, layer).expression for one in pair))
        for layer in ("hidden", "output")
    )
    for pair in _BOTH
)
# All m neurons, as for p = 1.
ALL_BALANCED, ALL_FROZEN = (
    _of_multiplicity(slope_table(2)[k].hidden.expression, slope_table(3)[k].hidden.expression)
    for k in (3, 4)
)
# The largest of m frozen |a_k| is sqrt(2 ln m): the leader needs the less of w.
LARGEST = sp.sqrt(sp.log(m))


class Place(NamedTuple):
    """A point of the diagram of a multiplicity."""

    p: int
    gamma: float
    gamma_prime: float

    @property
    def label(self) -> str:
        """Its family."""
        return f"p = {self.p}, ({self.gamma:g}, {self.gamma_prime:g})"

    @property
    def runs(self) -> dict[str, object]:
        """Homogeneous activations, for which the leading order is all; first escape only."""
        return {"activation": f"z**{self.p}", "loss": 0.5 if self.p == 2 else 0.8, "checked": 0}


LEADERS = (
    Place(2, 3.5, 0.0), Place(2, 4.0, 1.0), Place(2, 4.0, -1.0), Place(3, 4.0, 0.0),
    Place(3, 4.0, 0.5), Place(3, 4.5, -0.5),
)  # fmt: skip
# For p = 2 leaders and all neurons would have the same S_w, (gamma - 1)/2: it is tried for p = 3.
FROZEN_PLACES = (Place(3, 4.0, -1.9), Place(3, 4.5, -2.1), Place(2, 3.0, -2.0), Place(2, 4.0, -2.5))
LAZY = (Place(2, 0.5, 0.6), Place(2, 0.5, -0.6), Place(2, 1.4, 1.2))


def derive() -> Derivation:
    """The exponents of leaders for p = 2 and 3, beside those of all neurons."""
    lines = []
    for number in (2, 3):
        for regime in leader_slopes(number):
            where = f"p = {number}, {regime.name}: for {sp.And(*regime.domain)}"
            lines.append(Line("input", sp.Eq(S_w, regime.hidden.expression), where))
            lines.append(Line("output", sp.Eq(S_a, regime.output.expression), where))
        every = slope_table(number)[3]
        lines.append(Line("all neurons", sp.Eq(S_w, every.hidden.expression), "not gradient flow"))
    return Derivation("Leaders of a network of multiplicity p", tuple(lines))


def changes(settings: Settings) -> Iterator[Evidence]:
    """RD of both layers, the farthest neuron and the number of carriers, over the width."""
    pick = settings.effort.pick
    widths = 2 ** np.arange(10, pick(14, 16, 19))
    every = (*LEADERS, *FROZEN_PLACES, *LAZY)
    for k, place in enumerate(every):
        for width in map(int, widths):
            for start in range(max(2, min(32, pick(16_384, 65_536, 2**19) // width))):
                yield from _moved(place, width, 1000 * settings.seed + 50 * k + start)
        settings.progress("points", k + 1, len(every))


def _moved(place: Place, width: int, seed: int) -> Iterator[Evidence]:
    found = ended(place.gamma, place.gamma_prime, width, seed, **place.runs)
    for what in ("rd_w", "rd_a", "displacement", "carriers"):
        yield Evidence(
            experiment="changes",
            family=f"{what}, {place.label}",
            parameters=_parameters(place, width),
            measured=found[what],
        )


def _parameters(place: Place, width: int) -> dict[str, float]:
    return {"m": width, "gamma": place.gamma, "gamma'": place.gamma_prime, "p": place.p}


def bulk(settings: Settings) -> Iterator[Evidence]:
    """The median neuron at the time at which the leader has fitted its part."""
    widths = 2 ** np.arange(10, settings.effort.pick(13, 15, 18))
    for place in LEADERS[:3]:
        for width in map(int, widths):
            seed = 1000 * settings.seed + 900
            cell = cell_of(place.gamma, place.gamma_prime, width, seed, **place.runs)
            start, end, _, _ = run_cell(cell, 1.0)
            grown = _norms(end.params.W) / _norms(start.W)
            yield Evidence(
                experiment="bulk",
                family=place.label,
                parameters=_parameters(place, width),
                measured=float(np.median(grown)),
                seed=seed,
            )


def _norms(rows: object) -> np.ndarray:
    return np.linalg.norm(np.asarray(rows), axis=1)


def _families(what: str, places: tuple[Place, ...]) -> tuple[str, ...]:
    return tuple(f"{what}, {place.label}" for place in places)


@cache
def _along(slope: sp.Expr, tolerance: float) -> Slope:
    return Slope(axis(slope * sp.log(m)), tolerance=tolerance, log=True)


LEADER = (g - gp) / (p + 1)  # exponent of the leader's own displacement

CLAIMS = (
    Claim(
        "S_w of leaders, balanced", "changes", _along(BALANCED[0], 0.05), m ** BALANCED[0],
        {
            "all m neurons carry": m**ALL_BALANCED,
            "no share 1/sqrt(m)": m**LEADER,
            "p for p + 1": m ** ((g - gp) / p - HALF),
        },
        _families("rd_w", LEADERS), "m",
    ),
    Claim(
        "S_a of leaders, balanced", "changes", _along(BALANCED[1], 0.05), m ** BALANCED[1],
        {"all m neurons carry": m ** (ALL_BALANCED + gp), "as the input": m ** BALANCED[0]},
        _families("rd_a", LEADERS), "m",
    ),
    Claim(
        "S_w of leaders, output frozen", "changes", _along(FROZEN[0], 0.08),
        m ** FROZEN[0] / LARGEST ** (1 / p),
        {
            "all m neurons carry": m**ALL_FROZEN,
            "balanced": m ** BALANCED[0],
            "no share 1/sqrt(m)": m ** (g / p),
        },
        _families("rd_w", FROZEN_PLACES[:2]), "m",
    ),
    Claim(
        "S_a of leaders, output frozen", "changes", _along(FROZEN[1], 0.12),
        m ** FROZEN[1] / LARGEST ** (1 + 2 / p),
        {"balanced": m ** BALANCED[1], "without the square": m ** (g / p + gp - HALF)},
        _families("rd_a", FROZEN_PLACES), "m",
    ),
    Claim(
        "the farthest neuron goes m^((gamma - gamma')/(p + 1))", "changes", _along(LEADER, 0.05),
        m**LEADER,
        {"as the root mean square": m ** BALANCED[0], "p for p + 1": m ** ((g - gp) / p)},
        _families("displacement", LEADERS), "m",
    ),
    Claim(
        "N_eff stays of order 1", "changes", Slope(axis(sp.log(m)), floor=0.1, log=True),
        sp.Integer(1), {"all": m, "the root of all": sp.sqrt(m)},
        _families("carriers", LEADERS), "m",
    ),
    Claim(
        "lazy: the slopes of p = 1", "changes", _along(_LAZY := sp.Piecewise(
            *((r.hidden.expression, sp.And(*r.domain)) for r in slope_table(2)[:3])
        ), 0.08), m**_LAZY,
        {"leaders": m ** BALANCED[0], "the published bounds": m ** sp.Min(g - 1, g - 1 - gp)},
        _families("rd_w", LAZY), "m",
    ),
    Claim(
        "the median neuron hardly grows", "bulk", Equality(0.25), sp.Integer(1),
        {
            "as the leader": m**LEADER,
            "as the root mean square": m ** BALANCED[0],
            "as for p = 1": m ** ((g - gp - 1) / 2),
        },
        axis="m",
    ),
)  # fmt: skip

LAW = Law(
    name="leader-selection",
    title="multiplicity two and more: few neurons carry the fit, and RD misses them",
    statements=(
        Statement(
            "input weights", "derived", sp.Eq(S_w, LEADER - HALF, evaluate=False),
            "flowtheory, docs/laws/leader-selection",
            "gamma' > -gamma/p, gamma - gamma' > 1; gradient flow. The published experiments with "
            "p >= 2 (Zhou et al. 2021) use Adam, which makes all neurons grow",
        ),
        Statement(
            "farthest neuron", "derived", sp.Eq(D, LEADER, evaluate=False),
            "flowtheory, docs/laws/leader-selection", "exponent of its displacement over the rms",
        ),
        Statement(
            "frozen output", "derived", sp.Eq(S_w, g / p - HALF, evaluate=False),
            "flowtheory, docs/laws/leader-selection",
            "gamma' < -gamma/p; with a factor (2 ln m)^(-1/(2 p)), as the largest |a| leads",
        ),
    ),
    symbols=(
        SymbolInfo(S_w, "exponent of |w - w(0)|/|w(0)| in the width", "1"),
        SymbolInfo(D, "exponent of the largest displacement of a neuron", "1"),
        SymbolInfo(GAMMA, "-log kappa/log m, kappa = nu epsilon^p/alpha", "1"),
        SymbolInfo(GAMMA_PRIME, "-log kappa'/log m", "1"),
        SymbolInfo(p, "multiplicity of the activation", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("changes", "networks with z^2 and z^3 over the width", changes),
        Experiment("bulk", "the median neuron", bulk),
    ),
    controls=(),
    claims=CLAIMS,
    not_shown=(
        "1 < gamma - gamma' < 2: N_eff falls from m to 1 so slowly that at m = 262,144 and "
        "gamma = 1.5 it is still 80",
        "what follows the first escape: further leaders, one after another",
        "discrete steps, Adam, and activations that are homogeneous to leading order only",
    ),
    references=(
        "H. Zhou, Q. Zhou, T. Luo, Y. Zhang, Z.-Q. J. Xu. Towards understanding the condensation "
        "of neural networks at initial training. arXiv:2105.11686.",
        "T. Luo, Z.-Q. J. Xu, Z. Ma, Y. Zhang. Phase diagram for two-layer ReLU neural networks at "
        "infinite-width limit. JMLR 22 (2021). arXiv:2007.07497.",
    ),
    docs="docs/laws/leader-selection.md",
    derive=derive,
)  # fmt: skip
