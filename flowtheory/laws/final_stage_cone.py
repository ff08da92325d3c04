r"""A sign cone of three-layer leading flows that is entered, and never left, before the blow-up.

With $c = W_1\hat z$, the columns $b_i$ of $W_2$ and the output weights $a$, in time $st$:
$\dot a = \sum_i c_i b_i$, $\dot b_i = c_i a$, $\dot c_i = \langle a, b_i\rangle$. In the cone
$c_i\langle a, b_i\rangle > 0$, $c_i c_j\langle b_i, b_j\rangle > 0$ all these products grow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.flow.blowup import advance
from flowtheory.flow.coordinates import Sundman, SundmanFlow, Units, to_polar
from flowtheory.judge import Evidence, Finding, Proportion
from flowtheory.laws.claim import Claim
from flowtheory.laws.record import (
    Control,
    Experiment,
    ExperimentResult,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    Verification,
)
from flowtheory.laws.starts import Drive, Layers, leading
from flowtheory.plot.style import CYCLE, styled
from flowtheory.symbolic import Derivation, Line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "flowtheory, docs/laws/final-stage-cone"
PROBABILITY = sp.Symbol("P", real=True)
_RTOL = 1e-12
_GAIN, _LONGEST = 14.0, 1e5
_WIDTH = 6


class Asked(NamedTuple):
    """Which conditions count, and whether a run ends when they hold (1) or when they fail (-1)."""

    first: float
    pairs: float
    end: float

    def holds(self, state: Mapping[str, Any]) -> Any:
        """Whether a state is where the run is to end; NumPy or JAX."""
        first, pairs = margins(state["W1"][:, 0], state["W2"], state["v"])
        inside = ((first > 0) | (self.first == 0)) & ((pairs > 0) | (self.pairs == 0))
        return inside == (self.end > 0)


def margins(c: Any, W: Any, a: Any) -> tuple[Any, Any]:
    r"""Least $c_i\langle a, b_i\rangle$ and $c_ic_j\langle b_i, b_j\rangle$, > 0 in the cone."""
    signed = W * c
    return (a @ signed).min(), (signed.T @ signed).min()


@dataclass(frozen=True, eq=False)
class ConeFlow(SundmanFlow):
    """The leading flow of three layers, stopped at the step that enters or leaves a cone."""

    def passed(self, state: Sundman, units: Units) -> Any:
        """Whether the run is to end here."""
        return units.args[1].holds(state.xi) | super().passed(state, units)


FLOW = ConeFlow(lambda params, args: leading(3).field.gradient(params, args[0]), 3)


class Stretch(NamedTuple):
    """A piece of a run: the direction, time and log-norm where it ended; start of norm 1.

    `hit` is 1 where the end asked for was met, 0 where the norm grew by e^14 before, else NaN.
    """

    state: Layers
    time: float
    gain: float
    hit: float

    @property
    def seen(self) -> dict[str, Any]:
        """As evidence: whether it was met; cut off where the run ended too early to say."""
        return {"measured": self.hit, "cut": self.gain if self.hit != self.hit else float("nan")}


def run(drive: Drive, start: Mapping[str, np.ndarray], asked: Asked) -> Stretch:
    """From a start of norm 1 to the end asked for, or until the norm has grown by e^14."""
    given = ({}, drive.prepared.given)
    unit = np.float64(drive.strength)
    units = Units((given, asked), unit, np.float64(_GAIN), np.float64(0.0))
    direction = to_polar(dict(start)).direction
    ended = advance(FLOW, direction, units, _RTOL, _LONGEST, 4096)
    gain = float(ended.state.gain)
    state = to_polar({k: np.asarray(v) for k, v in ended.state.xi.items()}).direction
    hit = 1.0 if asked.holds(state) else 0.0 if gain >= _GAIN else float("nan")
    return Stretch(state, float(ended.state.time) / drive.strength, gain, hit)


def cone(settings: Settings) -> Iterator[Evidence]:
    """Gaussian starts to the cone and on; starts in the cone; starts in wrong cones."""
    widths = settings.effort.pick((_WIDTH,), (_WIDTH, 12), (_WIDTH, 12, 24, 60))
    for width in widths:
        count = settings.effort.pick(60, 150, 300) if width == _WIDTH else 60
        rng = np.random.default_rng((settings.seed, width))
        drive = Drive(3, np.ones((1, 1)), np.ones(1))
        for k in range(count):
            yield from _entered(drive, drive.gaussian(1.0, rng, width), width, settings.seed)
            inside = _inside(drive, width, rng)
            yield _left(drive, inside, Asked(1, 1, -1), "started in the cone", settings.seed)
            no_pairs = _with_signs(drive.gaussian(1.0, rng, width))
            yield _left(drive, no_pairs, Asked(1, 0, -1), "no pairs", settings.seed)
            turned = {**inside, "v": -inside["v"]}
            yield _left(drive, turned, Asked(0, 1, -1), "pairs only", settings.seed)
            if k % 20 == 0:
                settings.progress(f"width {width}", k, count)


def _entered(drive: Drive, start: Layers, width: int, seed: int) -> Iterator[Evidence]:
    """Whether a start comes into the cone, when, and whether it stays."""
    found = run(drive, start, Asked(1, 1, 1))
    left = drive.blow_up(found.state, check=False).end.estimate * np.exp(-found.gain)
    at = {"m": float(width), "entry": found.time / (found.time + left)}
    yield Evidence("cone", "entered", at, **found.seen, seed=seed)
    if found.hit == 1:
        yield _left(drive, found.state, Asked(1, 1, -1), "entered before", seed)


def _left(drive: Drive, start: Layers, asked: Asked, family: str, seed: int) -> Evidence:
    at = {"m": float(start["v"].size)}
    return Evidence("cone", f"{family}: left", at, **run(drive, start, asked).seen, seed=seed)


def _inside(drive: Drive, width: int, rng: np.random.Generator) -> Layers:
    """In the cone but close to its boundary: many products are nearly zero."""
    rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
    columns = np.abs(rng.normal(size=(width, width))) * (rng.random((width, width)) < 0.3)
    output = np.abs(rng.normal(size=width)) * (rng.random(width) < 0.5)
    c = rng.normal(size=width)
    W = rotation @ (columns + 1e-3) * np.sign(c)
    return drive.named([c[:, None], W, rotation @ (output + 1e-3)])


def _with_signs(start: Layers) -> Layers:
    r"""The signs of $c$ made those of $\langle a, b_i\rangle$."""
    signs = np.sign(start["v"] @ start["W2"])
    return {**start, "W1": np.abs(start["W1"]) * signs[:, None]}


def derive() -> Derivation:
    """The derivatives of the products along the flow, for two neurons a layer."""
    a, b1, b2 = (sp.Matrix(sp.symbols(f"{name}_1 {name}_2")) for name in ("a", "p", "q"))
    c1, c2 = sp.symbols("c_1 c_2")
    H = (a.T * (c1 * b1 + c2 * b2))[0]
    variables = [*a, *b1, *b2, c1, c2]

    def along(quantity: sp.Expr) -> sp.Expr:
        return sp.Add(*(quantity.diff(x) * H.diff(x) for x in variables))

    first, pair, square = c1 * a.dot(b1), c1 * c2 * b1.dot(b2), c1**2 * b1.dot(b1)
    other = c2 * a.dot(b2)
    growth = {
        "first product": (first, a.dot(b1) ** 2 + square + pair + c1**2 * a.dot(a)),
        "pair": (pair, pair * (first / c1**2 + other / c2**2) + c1**2 * other + c2**2 * first),
        "square": (square, 2 * square * first / c1**2 + 2 * c1**2 * first),
    }
    assert all(sp.expand(along(of) - claimed) == 0 for of, claimed in growth.values())
    rate = sp.Symbol("d/dt")
    return Derivation(
        "The cone is not left",
        (
            Line("leading part", sp.Eq(sp.Symbol("H"), H), "two neurons a layer, s = 1"),
            Line("a", sp.Eq(sp.Symbol("a_1'"), H.diff(a[0])), "p, q: the columns of W2"),
            Line("c", sp.Eq(sp.Symbol("c_1'"), H.diff(c1)), ""),
            *(
                Line(name, sp.Eq(rate * of, claimed), "a sum of positive terms in the cone")
                for name, (of, claimed) in growth.items()
            ),
        ),
    )


def _judge_wrong(family: str) -> Any:
    """A wrong cone, held to be left by none."""

    def judge(results: Mapping[str, ExperimentResult]) -> Finding:
        rows = [replace(r, predicted=0.0) for r in results["cone"].rows if r.family == family]
        return Proportion(0.1).judge(f"{family} by none", rows)

    return judge


def figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    """When the cone was entered."""
    caption = (
        "Share of Gaussian starts that are in the cone, over the time in units of their blow-up "
        "time; an entry is seen at the end of the step that makes it."
    )
    return {"entry": (_figure([r for r in verification.rows if r.family == "entered"]), caption)}


@styled
def _figure(rows: Sequence[Evidence]) -> Figure:
    from flowtheory.plot._figure import legend_below, panels

    figure, ((axes,),) = panels(2.8)
    for width, colour in zip(sorted({row["m"] for row in rows}), CYCLE, strict=False):
        times = np.sort([row["entry"] for row in rows if row["m"] == width and row.measured])
        total = sum(row["m"] == width for row in rows)
        steps = np.arange(1, times.size + 1) / total
        axes.step(times, steps, where="post", color=colour, label=f"$m = {width:g}$")
    axes.set(xlabel=r"$t / T^*$", ylabel="share in the cone", xlim=(0, 1), ylim=(0, 1.02))
    legend_below(figure, axes, columns=4)
    return figure


LAW = Law(
    name="final-stage-cone",
    title="a sign cone that three-layer leading flows enter and never leave",
    statements=(
        Statement(
            "entered by all", "derived", sp.Eq(PROBABILITY, 1, evaluate=False), SOURCE,
            "share of Gaussian starts that enter the cone before they blow up; a finding, no proof",
        ),
    ),
    symbols=(SymbolInfo(PROBABILITY, "share of Gaussian starts that enter the cone", "1"),),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(Experiment("cone", "starts outside, inside and in wrong cones", cone),),
    controls=(
        Control(
            "without the pairs", "c_i <a, b_i> > 0 alone is a cone that no run leaves",
            ("cone",), _judge_wrong("no pairs: left"),
        ),
        Control(
            "pairs only", "c_i c_j <b_i, b_j> > 0 alone is a cone that no run leaves",
            ("cone",), _judge_wrong("pairs only: left"),
        ),
    ),
    claims=(
        Claim(
            "Gaussian starts enter the cone", "cone", Proportion(0.1), sp.Integer(1),
            {"half of them": sp.Rational(1, 2), "those with H > 0 and half of the rest":
                sp.Rational(3, 4)},
            families=("entered",),
        ),
        Claim(
            "the cone is never left", "cone", Proportion(0.1), sp.Integer(0),
            {"one in five leaves": sp.Rational(1, 5), "half of them leave": sp.Rational(1, 2)},
            families=("entered before: left", "started in the cone: left"),
        ),
    ),
    varied=("m",),
    not_shown=(
        "that almost every start enters the cone: all Gaussian ones did, no proof; invariance is "
        "proved on the page of the law",
        "that this is the final-stage condition of Chen and Luo: their full text was not at hand",
        "an exit and a return within one step of the integrator",
    ),
    references=(
        "Z.-A. Chen, T. Luo. On the dynamics of three-layer neural networks: initial condensation. "
        "arXiv:2402.15958 (a final-stage condition, which suggested this one).",
    ),
    docs="docs/laws/final-stage-cone.md",
    derive=derive,
    figures=figures,
)  # fmt: skip
