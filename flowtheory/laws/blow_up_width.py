r"""The blow-up time of wide three-layer networks: $T^* \sqrt m \to \kappa/s$, for any aspect ratio.

At independent weights of unit variance the blow-up time becomes deterministic as the widths grow.
Its limit is the blow-up time of one explicit start: what a Gaussian matrix and two independent
vectors look like to each other is a pair of Jacobi chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.judge import Evidence, Mean, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import (
    Experiment,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    Verification,
)
from flowtheory.laws.starts import Drive, Layers, brackets, leading, observed
from flowtheory.plot.style import CYCLE, FAINT, MARKERS, styled
from flowtheory.symbolic import Derivation, Line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

s, m, kappa, T, g = sp.symbols("s m kappa T g", positive=True)
kappa_1, ratio = sp.symbols("kappa_1 ratio", positive=True)
TIME = kappa / (s * sp.sqrt(m))
SOURCE = "flowtheory, docs/laws/blow-up-width"
EARLIER = sp.Rational(121, 100)  # an estimate of kappa(1) from narrow networks; rejected
_TERMS = 8  # of each chain: the limit to 1e-12
_SAMPLED = 1e-9


def chain(terms: int, first: sp.Expr, second: sp.Expr) -> sp.Matrix:
    r"""The matrix that takes $e_k$ to `first` $f_k$ + `second` $f_{k-1}$, for k < `terms`."""
    return sp.Matrix(terms, terms, lambda i, j: {0: first, 1: second}.get(j - i, 0))


def limit_start(aspect: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""$(c, W, a)$ of which wide layers with $m_2/m_1$ = `ratio` are a copy, in units $\sqrt{m_1}$.

    Returns:
        c, W and a, of shapes (2n,), (2n, 2n), (2n,) for chains of n terms.
    """
    root = float(np.sqrt(aspect))
    c, a = np.zeros(2 * _TERMS), np.zeros(2 * _TERMS)
    c[0], a[_TERMS] = 1.0, root
    W = np.zeros((2 * _TERMS, 2 * _TERMS))
    W[:_TERMS, :_TERMS] = _numbers(chain(_TERMS, g, sp.Integer(1)), root)
    W[_TERMS:, _TERMS:] = _numbers(chain(_TERMS, sp.Integer(1), g), root).T
    return c, W, a


def _numbers(matrix: sp.Matrix, root: float) -> Float[np.ndarray, "n n"]:
    return np.array(matrix.subs(g, root).tolist(), dtype=np.float64)


@lru_cache(maxsize=16)
def limit(aspect: float) -> float:
    r"""$\kappa = \lim s\,T^* (m_1 m_2)^{1/4}$ for $m_2/m_1$ = `aspect`."""
    c, W, a = limit_start(aspect)
    drive = Drive(3, np.ones((1, 1)), np.ones(1))
    found = drive.blow_up(drive.named([c[:, None], W, a])).blow_up_time
    return found.estimate * aspect**0.25


def derive() -> Derivation:
    """The flow, its degree, the limit start, and the lower bound that norms alone would give."""
    entries = {
        "chain of c": chain(4, g, sp.Integer(1)),
        "chain of a": chain(4, sp.Integer(1), g).T,
    }
    return Derivation(
        "Blow-up time of wide layers",
        (
            Line("leading part", sp.Eq(sp.Symbol("H"), leading(3).flow.potential), "three layers"),
            Line("degree", sp.Eq(sp.Symbol("k"), brackets(3).flow.degree), "T* of x theta is T*/x"),
            *(
                Line(name, sp.Eq(sp.Symbol("W_0"), block), "in units sqrt(m_1); g^2 = m_2/m_1")
                for name, block in entries.items()
            ),
            Line("time", sp.Eq(T, TIME), "kappa: of the limit start; m^2 = m_1 m_2"),
            Line("bound by norms", sp.Ge(T, _by_norms()), "smaller: not sharp"),
        ),
    )


def _by_norms() -> sp.Expr:
    """The lower bound (iii) for the norms of square Gaussian layers."""
    found = brackets(3)
    x_1, x_2, x_3 = found.flow.gains
    return found.layers_lower.subs({x_1: sp.sqrt(m), x_2: m, x_3: sp.sqrt(m)})


def widths(settings: Settings) -> Iterator[Evidence]:
    """Gaussian starts: square layers for the exponent, other draws of wide ones for the limit."""
    pick = settings.effort.pick
    squares = pick(
        (64, 128, 256, 512), (64, 128, 256, 512, 1024), (64, 128, 256, 512, 1024, 2048, 4096)
    )
    wide, count = pick((512, 64), (1024, 80), (2048, 40))
    cases = [("square", width, width, pick(24, 40, 16)) for width in squares]
    cases += [("wide", wide, wide, count)]
    cases += [("m2/m1 = 16", 64, 1024, 60), ("m2/m1 = 1/16", 1024, 64, 60)]
    for k, (family, first, second, seeds) in enumerate(cases):
        for seed in range(seeds):
            yield _time(family, first, second, 1000 * settings.seed + seed)
        settings.progress("widths", k + 1, len(cases))


def _time(family: str, first: int, second: int, seed: int) -> Evidence:
    """One start; the data of a seed are the same at all widths."""
    data = np.random.default_rng(seed)
    drive = Drive.random(3, float(data.uniform(0.5, 2)), data)
    number = ("square", "wide").index(family) if first == second else 2
    rng = np.random.default_rng((seed, first, second, number))
    run = drive.blow_up(_start(drive, first, second, rng), rtol=_SAMPLED, check=False)
    aspect = second / first
    return Evidence(
        experiment="widths",
        family=family,
        parameters={
            "s": drive.strength,
            "m": float(np.sqrt(first * second)),
            "ratio": aspect,
            "kappa": limit(aspect),
            "kappa_1": limit(1.0),
        },
        **{**observed(run), "error": _SAMPLED * run.blow_up_time.estimate},
        seed=seed,
    )


def _start(drive: Drive, first: int, second: int, rng: np.random.Generator) -> Layers:
    dimension = drive.x.shape[1]
    shapes = ((first, dimension), (second, first), (second,))
    return drive.named([rng.normal(size=shape) for shape in shapes])


def figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    """All starts in units of the law."""
    caption = (
        "Blow-up times of single starts (marks) and their means with standard errors, in units in "
        "which the law is constant. Lines: the limit, computed from one explicit start; dashed, an "
        "earlier estimate."
    )
    return {"widths": (_figure(verification.rows), caption)}


@styled
def _figure(rows: Sequence[Evidence]) -> Figure:
    from flowtheory.plot._figure import legend_below, panels

    figure, ((axes,),) = panels(3.2)
    kinds = (("square layers", 1.0), ("m2/m1 = 16", 16.0), ("m2/m1 = 1/16", 1 / 16))
    for (name, aspect), colour, marker in zip(kinds, CYCLE, MARKERS, strict=False):
        own = [row for row in rows if row["ratio"] == aspect]
        shown = 1.06 ** (0 if aspect == 1 else np.sign(aspect - 1))  # beside each other
        x = np.array([row["m"] for row in own])
        y = np.array([row.measured * row["s"] * np.sqrt(row["m"]) for row in own])
        look: dict[str, Any] = {"color": colour, "linestyle": ""}
        axes.plot(x * shown, y, ".", markersize=2, alpha=0.4, **look)
        for width in np.unique(x):
            part = y[x == width]
            error = part.std(ddof=1) / np.sqrt(part.size)
            label = name if width == x.max() else "_"
            mark: dict[str, Any] = {"marker": marker, "markersize": 4, "label": label}
            axes.errorbar(width * shown, part.mean(), error, **mark, **look)
        axes.axhline(own[0]["kappa"], color=colour, linewidth=0.7, zorder=0)
    axes.axhline(float(EARLIER), color=FAINT, linewidth=0.7, dashes=(4, 3), zorder=0)
    axes.set_xscale("log", base=2)
    axes.set(xlabel=r"$m = \sqrt{m_1 m_2}$", ylabel=r"$s\,T^*\sqrt{m}$")
    legend_below(figure, axes, columns=3)
    return figure


LAW = Law(
    name="blow-up-width",
    title="blow-up time of wide three-layer networks",
    statements=(
        Statement(
            "any aspect ratio", "derived", sp.Eq(T, TIME, evaluate=False), SOURCE,
            "unit variance of all entries; m = sqrt(m_1 m_2); 1.1680 for m_1 = m_2",
        ),
    ),
    symbols=(
        SymbolInfo(T, "blow-up time T* of the leading flow", "1/drive"),
        SymbolInfo(s, "length of the moment z = mean of y_i x_i", "drive"),
        SymbolInfo(m, "geometric mean of the two widths", "1"),
        SymbolInfo(kappa, "limit of s T* sqrt(m), a function of m_2/m_1", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(Experiment("widths", "independent Gaussian weights", widths),),
    controls=(),
    claims=(
        Claim(
            "exponent of the width", "widths",
            Slope(axis(sp.log(m)), tolerance=0.06, log=True), 1 / sp.sqrt(m),
            {
                "T* constant in m": sp.Integer(1),
                "T* as 1/m": 1 / m,
                "T* as m^(-2/3)": m ** sp.Rational(-2, 3),
                "T* as m^(-1/3)": m ** sp.Rational(-1, 3),
            },
            families=("square",),
        ),
        Claim(
            "square layers: the limit", "widths", Mean(0.02), TIME,
            {
                "1.21 in place of 1.168": EARLIER / (s * sp.sqrt(m)),
                "1 in place of 1.168": 1 / (s * sp.sqrt(m)),
                "the bound by the norms": _by_norms(),
            },
            families=("wide",),
        ),
        Claim(
            "oblong layers: the limit", "widths", Mean(0.03), TIME,
            {
                "that of square layers": kappa_1 / (s * sp.sqrt(m)),
                "the first width for the mean": TIME * ratio ** sp.Rational(1, 4),
            },
            families=("m2/m1 = 16",),
        ),
        Claim(
            "oblong layers, turned round: the same", "widths", Mean(0.03), TIME,
            {
                "that of square layers": kappa_1 / (s * sp.sqrt(m)),
                "the first width for the mean": TIME * ratio ** sp.Rational(1, 4),
            },
            families=("m2/m1 = 1/16",),
        ),
    ),
    varied=("m", "s", "ratio"),
    not_shown=(
        "more than three layers",
        "the rate at which a finite width approaches the limit: at m = 32 the mean is 2 % above it",
        "single starts at small width, whose times scatter by 0.5/sqrt(m) of the limit",
    ),
    references=(
        "Z.-A. Chen, T. Luo. On the dynamics of three-layer neural networks: initial condensation. "
        "arXiv:2402.15958 (its starts are N(0, eps^2)).",
    ),
    docs="docs/laws/blow-up-width.md",
    derive=derive,
    figures=figures,
)  # fmt: skip
