r"""The first plateau where the leading part has degree $k > 2$: a power of the scale, and its rest.

$T = T^*\varepsilon^{-(k-2)} + R(\varepsilon)$, $T^*$ the blow-up time of the leading flow from the
start at scale 1. On the last direction $\dot r = k h_k r^{k-1} + (k+q) h_{k+q} r^{k+q-1}$; hence
$R = B\int_\varepsilon r^{q-k+1}dr + O(1)$ with $B = -(k+q)h_{k+q}/(k h_k)^2$: bounded for
$q > k - 2$, a logarithm for $q = k - 2$, a smaller power for $q < k - 2$.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.flow.until import plateau_left
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.laws.samples import regression
from flowtheory.lower import blow_up, lower
from flowtheory.precision import float64
from flowtheory.symbolic import Derivation, Line, aligned_layers, effective_flow, fully_connected
from flowtheory.symbolic.effective import EffectiveFlow
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.plateau import BLOW_UP, CORRECTION, LEADING, power_plateau

k, q = sp.symbols("k q", integer=True, positive=True)
T, R, B = sp.Symbol("T", positive=True), sp.Symbol("R", real=True), sp.Symbol("B", real=True)
r_0 = sp.Symbol("r_0", positive=True)

TIME = BLOW_UP * SCALE ** (2 - k)
COEFFICIENT = -(k + q) * CORRECTION / (k * LEADING) ** 2
LOGARITHM = COEFFICIENT * sp.log(1 / SCALE)
POWER = COEFFICIENT * (SCALE * r_0) ** (q - k + 2) / (k - 2 - q)
BALANCED = r_0 ** (2 - k) * SCALE ** (2 - k) / (k * (k - 2) * LEADING)

DELTA = 0.1


@dataclass(frozen=True)
class Case:
    """A network with a start of scale 1: a chain of single neurons, or a random one.

    Attributes:
        family: its name.
        layers: L.
        activation: of every hidden layer.
        widths: neurons of the hidden layers; 1 for a chain with x = y = 1.
        signs: of the layers of a chain, but the last one.
    """

    family: str
    layers: int
    activation: str
    widths: int = 1
    signs: int = 1

    @cached_property
    def network(self) -> Network:
        """The network."""
        return fully_connected(self.layers, self.activation)

    @cached_property
    def flow(self) -> EffectiveFlow:
        """Its leading flow."""
        return effective_flow(self.network, "half_mse")

    def problem(self, seed: int) -> tuple[GradientFlow, Params]:
        """Data and the start at scale 1."""
        if self.widths == 1:
            flow = GradientFlow(self.network, "half_mse", x=[[1.0]], y=[1.0])
            last = str(self.network.bases[-1])
            shapes = flow.init(width=1)
            start = {
                name: np.full_like(value, 1.0 if name == last else self.signs)
                for name, value in shapes.items()
            }
            return flow, start
        rng = np.random.default_rng(seed)
        x, y = regression(rng, 12, 2)
        flow = GradientFlow(self.network, "half_mse", x=x, y=y)
        return flow, flow.init(seed=rng, width=self.widths)

    def constants(self, flow: GradientFlow, unit: Params) -> dict[str, float]:
        r"""$k$, $q$, $T^*$ with its error, and $h_k$, $h_{k+q}$ on the last direction."""
        size = np.sqrt(sum(float(np.sum(value**2)) for value in unit.values()))
        if self.widths == 1:
            aligned = aligned_layers(self.layers, strength=sp.Integer(1))
            gains = aligned.escape([1] * self.layers)
            time, error = float(gains.time), 0.0
            towards: Mapping = {name: value / size for name, value in unit.items()}
        else:
            end = blow_up(self.flow, unit, data=dict(flow.data), gain=12.0)
            time, low, high = end.blow_up_time
            error, towards = max(high - time, time - low), end.polar.direction
        degree, gap = self.flow.degree, self.flow.gap
        return {
            "k": degree,
            "q": gap,
            "T_*": time,
            "error": error,
            "r_0": float(size),
            "h_k": self._level(degree, flow, towards),
            "h_kq": self._level(degree + gap, flow, towards),
        }

    def _level(self, power: int, flow: GradientFlow, at: Mapping) -> float:
        """Minus the coefficient of a power of the scale in the loss, at a direction."""
        bases = (*self.network.bases, *self.network.data)
        function = lower(self.flow.expansion[power], bases, ())
        values = {**flow.data, **at}
        with float64():
            return -float(function(*(np.asarray(values[str(base)]) for base in bases)))


QUADRATIC = "z + z^2/2, three layers"
TURNED = "z - z^2/2 in the first layer"
FOUR = "tanh, four layers"
NET = "tanh, three layers, 6 + 6 neurons"
CASES = {
    case.family: case
    for case in (
        Case(QUADRATIC, 3, "z + z**2/2"),
        Case(TURNED, 3, "z + z**2/2", signs=-1),
        Case(FOUR, 4, "tanh"),
        Case("z - 0.3 z^2, three layers", 3, "z - 3*z**2/10"),
        Case("z + z^2/2, three layers, 6 + 6 neurons", 3, "z + z**2/2", widths=6),
        Case(NET, 3, "tanh", widths=6),
        Case("tanh, three layers, a chain", 3, "tanh"),
        Case("linear, four layers, a chain", 4, "identity"),
        Case("tanh, five layers", 5, "tanh"),
    )
}
LOGARITHMIC = tuple(CASES)[:5]
BOUNDED = tuple(CASES)[5:8]


def derive() -> Derivation:
    """The degree and the gap of three networks, the times, and the rest."""
    flows = [(family, CASES[family].flow) for family in (QUADRATIC, FOUR, NET)]
    found = [
        Line(family, sp.Eq(k, flow.degree, evaluate=False), f"gap q = {flow.gap}")
        for family, flow in flows
    ]
    rate = k * LEADING * sp.Symbol("r") ** (k - 1)
    return Derivation(
        "First plateau of degree above 2",
        (
            *found,
            Line("radius", sp.Eq(sp.Symbol("r'"), rate), "on the last direction, to leading order"),
            Line("three layers, q = 1", sp.Eq(T, power_plateau(3, 1).expression), ""),
            Line("four layers, q = 2", sp.Eq(T, power_plateau(4, 2).expression), ""),
            Line("coefficient", sp.Eq(B, COEFFICIENT), "first order in the part of degree k + q"),
            Line("q < k - 2", sp.Eq(R, POWER), "the same integral where it is a power"),
        ),
    )


def rest(settings: Settings) -> Iterator[Evidence]:
    r"""$T - T^*\varepsilon^{-(k-2)}$ of the flow that is integrated throughout."""
    families = settings.effort.pick(
        (QUADRATIC, TURNED, NET, "tanh, five layers"), tuple(CASES), tuple(CASES)
    )
    for i, family in enumerate(families):
        case = CASES[family]
        repeats = settings.effort.pick(1, 2, 5) if case.widths > 1 else 1
        for repeat in range(repeats):
            seed = 1000 * settings.seed + repeat
            yield from _rest(case, seed, settings.effort.pick(6, 9, 17))
        settings.progress("rest", i + 1, len(families))


# The rest is known to T times 1e-13: below these scales that is no longer small beside it.
_LEAST = {3: -8.0, 4: -5.0, 5: -3.5}


def _rest(case: Case, seed: int, points: int) -> Iterator[Evidence]:
    flow, unit = case.problem(seed)
    known = case.constants(flow, unit)
    start = -1.5 if known["k"] > 4 else -2.0
    for decade in np.linspace(start, _LEAST[int(known["k"])], points):
        scale = 10.0**decade
        run = _plateau(flow, unit, scale, skip=False)
        leading = scale ** (2 - known["k"])
        yield Evidence(
            experiment="rest",
            family=case.family,
            parameters={"epsilon": scale, **_parameters(known)},
            measured=run.t_end - known["T_*"] * leading,
            error=float(run.error_estimate) + known["error"] * leading,
            seed=seed,
        )


def time(settings: Settings) -> Iterator[Evidence]:
    """The time itself, far down: the leading flow carries it to the end of the plateau."""
    families = settings.effort.pick((NET,), (NET, FOUR), (NET, FOUR, QUADRATIC))
    decades = (6, 8, 12, 25, 50, 100)
    for i, family in enumerate(families):
        for repeat in range(settings.effort.pick(1, 3, 8) if CASES[family].widths > 1 else 1):
            seed = 1000 * settings.seed + repeat
            flow, unit = CASES[family].problem(seed)
            known = CASES[family].constants(flow, unit)
            for decade in decades:
                run = _plateau(flow, unit, 10.0**-decade, skip=True)
                yield Evidence(
                    experiment="time",
                    family=family,
                    parameters={"epsilon": 10.0**-decade, **_parameters(known)},
                    measured=run.t_end,
                    error=float(run.error_estimate),
                    seed=seed,
                )
        settings.progress("times", i + 1, len(families))


def _plateau(flow: GradientFlow, unit: Params, scale: float, *, skip: bool):
    start = {name: scale * value for name, value in unit.items()}
    rtol = 1e-10 if skip else 1e-13
    return flow.solve(start, until=plateau_left(DELTA), save="norms", rtol=rtol, skip=skip)


def _parameters(known: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in known.items() if name != "error"}


LAW = Law(
    name="plateau-higher-degree",
    title="first plateau of degree k > 2: a power of the scale, with or without a logarithm",
    statements=(
        Statement(
            "plateau", "derived", sp.Eq(T, TIME + R, evaluate=False),
            "flowtheory, docs/laws/plateau-higher-degree",
            "R is bounded for q > k - 2",
        ),
        Statement(
            "rest, q = k - 2", "derived", sp.Eq(R, LOGARITHM, evaluate=False),
            "flowtheory, docs/laws/plateau-higher-degree", "up to a constant", {k: 3, q: 1},
        ),
        Statement(
            "rest, q < k - 2", "derived", sp.Eq(R, POWER, evaluate=False),
            "flowtheory, docs/laws/plateau-higher-degree", "up to smaller powers",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time at which a tenth of the loss at zero output is gone", "time"),
        SymbolInfo(R, "what is left of T", "time"),
        SymbolInfo(BLOW_UP, "blow-up time of the leading flow from the start at scale 1", "time"),
        SymbolInfo(SCALE, "scale of the start", "1"),
        SymbolInfo(k, "degree of the leading part H_k of minus the loss", "1"),
        SymbolInfo(q, "gap to the next power", "1"),
        SymbolInfo(LEADING, "H_k at the last unit direction", "length**(2 - k)/time"),
        SymbolInfo(CORRECTION, "H_(k+q) there", "length**(2 - k - q)/time"),
        SymbolInfo(r_0, "norm of the start at scale 1", "length"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("rest", "T minus its leading part", rest),
        Experiment("time", "T far down", time),
    ),
    controls=(),
    claims=(
        Claim(
            "q = k - 2: the rest grows as B ln(1/epsilon)", "rest",
            Slope(axis(LOGARITHM), tolerance=0.02), LOGARITHM,
            {
                "no logarithm": sp.Integer(0),
                "the opposite sign": -LOGARITHM,
                "twice B": 2 * LOGARITHM,
                "k + q left out of B": LOGARITHM / (k + q),
            },
            families=LOGARITHMIC, axis="epsilon",
        ),
        Claim(
            "q > k - 2: the rest is bounded", "rest",
            Slope(axis(sp.log(1 / SCALE)), floor=0.02), sp.Integer(0),
            {"a logarithm here too": LOGARITHM, "1 for each e-fold": sp.log(1 / SCALE)},
            families=BOUNDED, axis="epsilon",
        ),
        Claim(
            "q < k - 2: the rest grows as a power", "rest",
            Slope(axis(POWER), tolerance=0.02), POWER,
            {
                "a logarithm": LOGARITHM,
                "the opposite sign": -POWER,
                "the next power": POWER / (SCALE * r_0),
            },
            families=("tanh, five layers",), axis="epsilon",
        ),
        Claim(
            "T = T* epsilon^(2-k)", "time", Equality(1e-3), TIME,
            {
                "a start that is aligned and balanced": BALANCED,
                "the exponent k - 1": TIME / SCALE,
                "a logarithm, as for degree 2": BLOW_UP * sp.log(1 / SCALE),
                "one per cent more": sp.Rational(101, 100) * TIME,
            },
            axis="epsilon",
        ),
    ),
    not_shown=(
        "the bounded part of the rest, which depends on delta and on the data",
        "starts whose leading flow does not blow up, and kinked activations",
        "the sum of both rests where the gap divides k - 2 and a power hides the logarithm",
    ),
    references=(
        "Z.-A. Chen, T. Luo. On the dynamics of three-layer neural networks: initial condensation. "
        "arXiv:2402.15958.",
        "A. Kumar, J. Haupt. Early directional convergence in deep homogeneous neural networks for "
        "small initializations. arXiv:2403.08121.",
    ),
    docs="docs/laws/plateau-higher-degree.md",
    derive=derive,
)  # fmt: skip
