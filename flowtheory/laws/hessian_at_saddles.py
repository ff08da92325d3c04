r"""The Hessian at the saddles of deep linear networks: what it shows, and what it cannot show.

$L = \frac12|W_L\cdots W_1 - M|_F^2$ is stationary where the product keeps some singular values
$s_i$ of $M$ and drops the others. With the largest $r$ kept, two layers have the least eigenvalue
$-s_{r+1}$, three or more layers none below 0, although the point is a saddle: the loss falls with
the power $L$ of the dropped gains. A kept value that is smaller than a dropped one gives
$w^{L-2}(s_{keep} - s_{drop}) < 0$ with $w = s_{keep}^{1/L}$.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.judge import Equality, Evidence
from flowtheory.laws.claim import Claim
from flowtheory.laws.frames import Frames, Matrix, random_frames, regauged
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.lower import linearize_at
from flowtheory.symbolic import (
    Derivation,
    Line,
    deep_linear_saddle,
    effective_flow,
    matrix_factorization,
)

L = sp.Symbol("L", integer=True, positive=True)
keep, drop, e = sp.symbols("s_keep s_drop e", positive=True)
least, change = sp.symbols("mu_min Delta", real=True)
h, r, q, N, pairs = sp.symbols("h r q N I", integer=True, nonnegative=True)

WRONG_MODE = keep ** ((L - 2) / L) * (keep - drop)
INDEX_TWO = (h - r) * q + pairs
FALL = -drop * e**L + e ** (2 * L) / 2

ROUNDING = 1e-11  # of an eigenvalue of a dense matrix of norm < 10 with less than 200 rows
KEPT = ((0,), (0, 1), (1,), (0, 2), (1, 2), (2,))
COUNT = 3


@dataclass(frozen=True)
class Saddle:
    """A critical point: the singular values of M, falling, which of them are kept, the frames."""

    strengths: tuple[float, ...]
    kept: tuple[int, ...]
    frames: Frames

    @property
    def depth(self) -> int:
        """Number of layers."""
        return self.frames.depth

    @property
    def dropped(self) -> tuple[float, ...]:
        """The values that the product lacks, falling."""
        return tuple(s for i, s in enumerate(self.strengths) if i not in self.kept)

    @property
    def wrong(self) -> list[tuple[float, float]]:
        """Pairs (kept, dropped) of values, the kept one smaller, the most negative rate first."""
        found = [(self.strengths[i], t) for i in self.kept for t in self.dropped]
        return sorted((p for p in found if p[0] < p[1]), key=lambda p: _wrong_mode(self.depth, *p))

    def layers(self, dormant: float = 0.0) -> list[Matrix]:
        """The layers; `dormant` is the gain of the largest dropped value."""
        gains = [s ** (1 / self.depth) if i in self.kept else 0.0
                 for i, s in enumerate(self.strengths)]  # fmt: skip
        gains[self.strengths.index(self.dropped[0])] = dormant
        return self.frames.layers(gains)

    def row(
        self, experiment: str, family: str, measured: float, error: float, seed: int, **more: float
    ) -> Evidence:
        """Evidence about this saddle."""
        parameters = {
            "L": self.depth,
            "h": self.frames.width,
            "r": len(self.kept),
            "q": len(self.dropped),
            "I": len(self.wrong),
            "s_drop": self.dropped[0],
            "s_keep": self.wrong[0][0] if self.wrong else self.strengths[self.kept[-1]],
            **more,
        }
        return Evidence(experiment, family, parameters, float(measured), error=error, seed=seed)


def _wrong_mode(depth: int, small: float, large: float) -> float:
    return float(WRONG_MODE.subs({L: depth, keep: small, drop: large}))


def derive() -> Derivation:
    """The engine's spectra for two, three and four layers, one value kept and one dropped."""
    rates = sp.Symbol("lambda")
    found = {depth: sp.Eq(rates, _rates(depth)) for depth in (2, 3, 4)}
    leading = effective_flow(matrix_factorization(3), "half_square")
    return Derivation(
        "The Hessian at the saddles of deep linear networks",
        (
            Line("network", sp.Eq(sp.Symbol("f"), leading.network.output), "three layers"),
            Line("degree", sp.Eq(sp.Symbol("k"), leading.degree), "of the dropped block: L"),
            Line("rates, two layers", found[2], "eigenvalues of minus the Hessian, without zeros"),
            Line("rates, three layers", found[3], "s_keep is kept, s_drop is dropped"),
            Line("rates, four layers", found[4], "likewise"),
            Line("L = 2", sp.Eq(least, -drop), "the idle hidden units add +-s_drop"),
            Line("top r kept, L > 2", sp.Eq(least, 0), "no rate is positive"),
            Line("wrong mode kept, L > 2", sp.Eq(least, WRONG_MODE), "s_keep < s_drop"),
            Line("loss along a dropped mode", sp.Eq(change, FALL), "gain e in every layer"),
        ),
    )


def _rates(depth: int) -> sp.FiniteSet:
    spectrum = deep_linear_saddle(depth, [keep], [drop])
    return sp.FiniteSet(*(sp.expand(rate) for rate, _ in spectrum.parts if rate != 0))


def spectra(settings: Settings) -> Iterator[Evidence]:
    """Dense spectra at random saddles in random frames: the least eigenvalue and the index."""
    depths = settings.effort.pick((2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6, 8))
    rng = np.random.default_rng(settings.seed)
    for done, depth in enumerate(depths):
        # One shape a depth: the Hessian is compiled once for each.
        sizes = (COUNT, *[COUNT + int(rng.integers(0, 2))] * (depth - 1), COUNT + 1)
        for _ in range(settings.effort.pick(1, 5, 20)):
            for kept in KEPT:
                saddle = Saddle(_strengths(rng), kept, random_frames(sizes, rng))
                yield from _spectrum(saddle, rng, settings.seed)
        settings.progress("spectra at saddles", done + 1, len(depths))


def _strengths(rng: np.random.Generator) -> tuple[float, ...]:
    """Singular values at least 0.15 apart, falling."""
    return tuple(float(s) for s in np.cumsum(rng.uniform(0.15, 0.6, COUNT))[::-1])


def _spectrum(saddle: Saddle, rng: np.random.Generator, seed: int) -> Iterator[Evidence]:
    """The least eigenvalue, and the index there and for the same product in other layers."""
    moment, layers = saddle.frames.moment(saddle.strengths), saddle.layers()
    family = f"{'wrong mode' if saddle.wrong else 'top r'} kept, L {_depths(saddle.depth)}"
    smallest, index = _linearized(moment, layers)
    yield saddle.row("spectra", family, smallest, ROUNDING, seed)
    for gauge, count in (
        ("balanced", index),
        ("any gauge", _linearized(moment, regauged(layers, rng))[1]),
    ):
        name = f"index, {gauge}, L {_depths(saddle.depth)}"
        yield saddle.row("spectra", name, count, 0.0, seed)


def _depths(depth: int) -> str:
    return "= 2" if depth == 2 else "> 2"


def _linearized(moment: Matrix, layers: list[Matrix]) -> tuple[float, int]:
    """(the least eigenvalue of the Hessian, the number of negative ones) at a critical point."""
    network = matrix_factorization(len(layers))
    names = map(str, network.bases)
    found = linearize_at(
        network, "half_square", dict(zip(names, layers, strict=True)), None, moment, leading=1
    )
    assert found.gradient_norm < 1e-12
    return -float(found.rates[0]), found.index


def falls(settings: Settings) -> Iterator[Evidence]:
    """The loss beside a saddle that keeps the top r, along the gains of the first dropped mode."""
    depths = settings.effort.pick((2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6, 8))
    rng = np.random.default_rng([settings.seed, 1])
    for done, depth in enumerate(depths):
        sizes = (COUNT, *[COUNT + 1] * (depth - 1), COUNT + 1)
        saddle = Saddle(_strengths(rng), (0,), random_frames(sizes, rng))
        network = matrix_factorization(depth)
        flow = GradientFlow(network, "half_square", y=saddle.frames.moment(saddle.strengths))
        level = flow.energy(_named(network, saddle.layers()))
        # Down to where the fall is 1e-6 of the level, above its rounding of 1e-16.
        smallest = (1e-6 * level) ** (1 / depth)
        for step in np.geomspace(smallest, 0.6 * saddle.dropped[0] ** (1 / depth), 8):
            beside = flow.energy(_named(network, saddle.layers(float(step))))
            yield saddle.row(
                "falls", f"L = {depth}", beside - level, 1e-15, settings.seed, e=float(step)
            )
        settings.progress("loss beside saddles", done + 1, len(depths))


def _named(network, layers: list[Matrix]) -> dict[str, Float[np.ndarray, ...]]:
    return dict(zip(map(str, network.bases), layers, strict=True))


SOURCE = "flowtheory, docs/laws/hessian-at-saddles"

LAW = Law(
    name="hessian-at-saddles",
    title="Hessian at the saddles of deep linear networks",
    statements=(
        Statement("two layers", "derived", sp.Eq(least, -drop), SOURCE,
                  "idle hidden units, h > r; s_drop is the largest dropped value", {L: 2}),
        Statement("three layers or more, the largest r kept", "derived", sp.Eq(least, 0), SOURCE,
                  "the Hessian is positive semidefinite, and the point is no minimum"),
        Statement("a smaller value kept, L > 2", "derived", sp.Eq(least, WRONG_MODE), SOURCE,
                  "s_keep < s_drop; the least over all such pairs"),
        Statement("index, two layers", "derived", sp.Eq(N, INDEX_TWO), SOURCE,
                  "for L > 2 it is I; in any gauge, balanced or not"),
        Statement("along a dropped mode", "derived", sp.Eq(change, FALL), SOURCE,
                  "exact; the Hessian sees the power 2 alone"),
    ),
    symbols=(
        SymbolInfo(least, "least eigenvalue of the Hessian", "gain**(2*L - 2)"),
        SymbolInfo(change, "loss minus that of the saddle", "gain**(2*L)"),
        SymbolInfo(L, "number of layers", "1"),
        SymbolInfo(keep, "a singular value of M that the saddle keeps", "gain**L"),
        SymbolInfo(drop, "a singular value of M that it lacks", "gain**L"),
        SymbolInfo(e, "gain of the dropped mode in every layer", "gain"),
        SymbolInfo(N, "index: number of negative eigenvalues", "1"),
        SymbolInfo(h, "hidden units", "1"),
        SymbolInfo(r, "number of kept values", "1"),
        SymbolInfo(q, "number of dropped values", "1"),
        SymbolInfo(pairs, "number of pairs of a kept value and a larger dropped one", "1"),
    ),
    assumptions=(),
    clock=Clock("sum", 1.0),
    experiments=(
        Experiment("spectra", "dense spectra at saddles in random frames", spectra),
        Experiment("falls", "the loss beside saddles that keep the largest values", falls),
    ),
    controls=(),
    claims=(
        Claim(
            "two layers: the least eigenvalue is -s_drop", "spectra", Equality(1e-9), -drop,
            {
                "the last kept value": -keep,
                "the formula of deeper layers": keep - drop,
                "half of it": -drop / 2,
            },
            families=("top r kept, L = 2", "wrong mode kept, L = 2"), axis="s_drop",
        ),
        Claim(
            "L > 2, the largest r kept: no eigenvalue below 0", "spectra",
            Equality(0, absolute=1e-9), sp.Integer(0),
            {
                "as with two layers": -drop,
                "the rate of a wrong mode, whatever the order": -keep ** ((L - 2) / L)
                * sp.Abs(keep - drop),
            },
            families=("top r kept, L > 2",), axis="s_drop",
        ),
        Claim(
            "L > 2, a smaller value kept: w^(L-2) (s_keep - s_drop)", "spectra",
            Equality(1e-9), WRONG_MODE,
            {
                "without the gain": keep - drop,
                "one power of the gain more": keep ** (1 / L) * WRONG_MODE,
                "the gain of the dropped mode": drop ** ((L - 2) / L) * (keep - drop),
            },
            families=("wrong mode kept, L > 2",), axis="s_drop",
        ),
        Claim(
            "two layers: index (h - r) q + I", "spectra", Equality(0, absolute=0.1), INDEX_TWO,
            {"one direction a dropped value": q, "as in deeper layers": pairs},
            families=("index, balanced, L = 2", "index, any gauge, L = 2"), axis="h",
        ),
        Claim(
            "L > 2: index I", "spectra", Equality(0, absolute=0.1), pairs,
            {"semidefinite always": sp.Integer(0), "as in two layers": INDEX_TWO},
            families=("index, balanced, L > 2", "index, any gauge, L > 2"), axis="I",
        ),
        Claim(
            "along the dropped mode the loss falls by s e^L - e^(2 L)/2", "falls",
            Equality(1e-6), FALL,
            {
                "as the square": -drop * e**2,
                "one power more": FALL * e,
                "half of it": FALL / 2,
            },
            axis="e",
        ),
    ),
    not_shown=(
        "saddles of networks that are not linear, or of data that are not whitened",
        "that a run comes near such a saddle: mode-times and deflate-and-restart are about that",
        "eigenvalues in gauges that are not balanced: there the index alone is fixed",
    ),
    references=(
        "K. Kawaguchi. Deep learning without poor local minima. NeurIPS 2016. arXiv:1605.07110 "
        "(saddles without negative curvature exist beyond one hidden layer).",
    ),
    docs="docs/laws/hessian-at-saddles.md",
    derive=derive,
)  # fmt: skip
