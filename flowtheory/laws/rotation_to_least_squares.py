r"""The direction of condensed neurons: $z$ at the escape, the least-squares vector at the plateau.

Multiplicity 1, small weights: all neurons follow $\dot a = w\cdot g$, $\dot w = a g$ with
$g = z - G v$, $v = \sum_k a_k w_k$. The escape is along $z$; the flow ends where $g = 0$, at
$v = G^{-1}z$. With frozen output weights $w_k - w_k(0) = a_k V$ is along it all the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.errors import LawError
from flowtheory.flow.fall import fall
from flowtheory.judge import Equality, Evidence, Mean
from flowtheory.laws.claim import Claim
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.laws.samples import regression
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.measure.projection import linear_directions, projection
from flowtheory.phase.point import Point
from flowtheory.symbolic import Derivation, Line
from flowtheory.symbolic.expression import Expr

m, kappa, V_LS, Z = (sp.Symbol(name, positive=True) for name in ("m", "kappa", "v_LS", "z"))
A, W, D = (sp.Symbol(name, positive=True) for name in ("a_rms", "w_rms", "D"))
COSINE, R_LS, R_Z, RD = (sp.Symbol(name, positive=True) for name in ("c", "R_LS", "R_z", "RD"))

SAMPLES, DIMENSION, WIDTH = 20, 3, 4096
STRETCH = np.array([1.5, 1.0, 0.5])  # of the inputs, so that G is not 1

# w_k = w_k(0) + a_k V and kappa sum_k a_k w_k = v_LS.
FROZEN: Expr = V_LS / (m * kappa * sp.sqrt(D) * A * W)
ALONG: Expr = sp.sqrt((D * FROZEN**2 + 1) / (D * FROZEN**2 + D))


def derive() -> Derivation:
    """The flow of a neuron, its beginning, its end, and the frozen case."""
    a, w, g, v = sp.symbols("a w g v")
    z, second = sp.symbols("z G")
    return Derivation(
        "From z to the least-squares vector",
        (
            Line("output weight", sp.Eq(sp.Symbol("a'"), w * g), "the same g for all neurons"),
            Line("input weight", sp.Eq(sp.Symbol("w'"), a * g), ""),
            Line("force", sp.Eq(g, z - second * v), "v = kappa sum_k a_k w_k"),
            Line("escape", sp.Eq(g, z), "v is small: neurons align with z"),
            Line("end", sp.Eq(v, z / second), "g = 0: neurons lie on the line of v_LS"),
            Line("frozen output", sp.Eq(RD, FROZEN), "w - w(0) = a V, m kappa <a^2> V is v_LS"),
            Line("part along v_LS", sp.Eq(R_LS, ALONG), "the start keeps its part beside V"),
        ),
    )  # fmt: skip


class Problem(NamedTuple):
    """Data with their two directions, and the losses of zero and of the best linear output."""

    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]
    z: Float[np.ndarray, " D"]
    best: Float[np.ndarray, " D"]
    zero: float
    floor: float


def _problem(rng: np.random.Generator) -> Problem:
    x, y = regression(rng, SAMPLES, DIMENSION)
    x = x * STRETCH
    z, best = linear_directions(x, y)
    return Problem(x, y, z, best, float(np.mean(y**2)), float(np.mean((y - x @ best) ** 2)))


def _ended(
    point: Point, problem: Problem, left: float, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Input weights at the start and at the end, and the output weights of the start.

    The end is where the part `left` of what a linear output can gain is still to be gained.
    """
    start, seen = point.start(DIMENSION, rng, paired=True), point.samples(problem.x, problem.y)
    unit = 0.5 * float(seen.weight) * SAMPLES * point.unit**2
    level = unit * (problem.floor + left * (problem.zero - problem.floor))
    end = fall(two_layer_model(point.activation, "half_mse"), seen, start, level, c=0.5)
    if not end.outcome.ok:
        raise LawError(
            f"a run ended as {end.outcome.name}",
            expected="the least-squares plateau",
            fix="a larger part left",
        )
    return np.asarray(start.W), np.asarray(end.params.W), np.asarray(start.v) / point.kappa_prime


# A tanh network passes its best linear output at a distance, by its cubic terms.
STAGES = {"escape": ("tanh", 0.995), "plateau": ("identity", 1e-8), "tanh plateau": ("tanh", 3e-4)}


def turning(settings: Settings) -> Iterator[Evidence]:
    """Random data, both layers condensed: at 0.5 % of the gain, and when next to none is left."""
    cases = settings.effort.pick(8, 24, 100)
    for case in range(cases):
        for stage, (activation, left) in STAGES.items():
            rng = np.random.default_rng([settings.seed, case])
            problem = _problem(rng)
            eps = 1e-5 if activation == "tanh" else 1.0
            point = Point(3.0, 0.0, WIDTH, activation, eps)
            _, end, _ = _ended(point, problem, left, rng)
            for name, direction in (("z", problem.z), ("v_LS", problem.best)):
                yield Evidence(
                    experiment="turning",
                    family=f"{name} at the {stage}",
                    parameters={"c": _cosine(problem.z, problem.best)},
                    measured=float(np.sqrt(projection(end, direction).ratio.value)),
                )
        settings.progress("problems", case + 1, cases)


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(abs(one @ other) / (np.linalg.norm(one) * np.linalg.norm(other)))


def frozen(settings: Settings) -> Iterator[Evidence]:
    """Output weights too large to move: RD and the part along v_LS, over the scale."""
    for case in range(settings.effort.pick(8, 24, 100)):
        rng = np.random.default_rng([settings.seed, case, 1])
        problem = _problem(rng)
        # From a start that hardly moves to one that is left behind.
        point = Point(float(rng.uniform(0.8, 1.8)), -2.0, WIDTH, "identity")
        start, end, output = _ended(point, problem, 1e-9, rng)
        measured = {
            "RD": np.linalg.norm(end - start) / np.linalg.norm(start),
            "along": np.sqrt(projection(end, problem.best).ratio.value),
        }
        for name, value in measured.items():
            yield Evidence(
                experiment="frozen",
                family=name,
                parameters={
                    "m": WIDTH,
                    "D": DIMENSION,
                    "kappa": point.kappa,
                    "v_LS": float(np.linalg.norm(problem.best)),
                    "z": float(np.linalg.norm(problem.z)),
                    "c": _cosine(problem.z, problem.best),
                    "a_rms": float(np.sqrt(np.mean(output**2))),
                    "w_rms": float(np.sqrt(np.mean(start**2))),
                },
                measured=float(value),
            )


_ONE: Expr = sp.Integer(1)
CLAIMS = (
    Claim(
        "the escape is along z", "turning", Equality(0.002), _ONE,
        {"along v_LS": COSINE}, ("z at the escape",), "c",
    ),
    Claim(
        "then v_LS is missed", "turning", Equality(0.04), COSINE,
        {"along v_LS": _ONE}, ("v_LS at the escape",), "c",
    ),
    Claim(
        "the plateau is along v_LS", "turning", Equality(1e-3), _ONE,
        {"it stays at z": COSINE, "half the way": sp.cos(sp.acos(COSINE) / 2)},
        ("v_LS at the plateau",), "c",
    ),
    Claim(
        "then the part along z is cos(z, v_LS)", "turning", Equality(1e-3), COSINE,
        {"it stays at z": _ONE, "half the way": sp.cos(sp.acos(COSINE) / 2)},
        ("z at the plateau",), "c",
    ),
    Claim(
        "tanh turns, too", "turning", Mean(0.02), _ONE,
        {"it stays at z": COSINE},
        ("v_LS at the tanh plateau",), "c",
    ),
    Claim(
        "frozen output: RD = |v_LS|/(m kappa sqrt(D))", "frozen", Equality(0.01), FROZEN,
        {
            "|z| for |v_LS|": FROZEN.xreplace({V_LS: Z}),
            "no root of D": FROZEN * sp.sqrt(D),
            "twice": 2 * FROZEN,
        },
        ("RD",), "kappa",
    ),
    Claim(
        "frozen output: the part along v_LS", "frozen", Equality(0.06), ALONG,
        {
            "RD for D RD^2": sp.sqrt((FROZEN + 1) / (FROZEN + D)),
            "all": _ONE,
            "none": 1 / sp.sqrt(D),
        },
        ("along",), "kappa",
    ),
)  # fmt: skip

LAW = Law(
    name="rotation-to-least-squares",
    title="condensed neurons turn from z to the least-squares vector",
    statements=(
        Statement(
            "plateau", "derived", sp.Eq(R_LS, 1, evaluate=False),
            "flowtheory, docs/laws/rotation-to-least-squares",
            "part of the input weights along v_LS; Chen et al. 2023 state R_z -> 1 up to a time T",
        ),
        Statement(
            "plateau, along z", "derived", sp.Eq(R_Z, COSINE, evaluate=False),
            "flowtheory, docs/laws/rotation-to-least-squares", "c is the cosine of z and v_LS",
        ),
        Statement(
            "frozen output", "derived", sp.Eq(RD, FROZEN, evaluate=False),
            "flowtheory, docs/laws/rotation-to-least-squares", "gamma' < 1 - gamma; linear",
        ),
    ),
    symbols=(
        SymbolInfo(R_LS, "root of the part of |w|^2 along v_LS", "1"),
        SymbolInfo(R_Z, "root of the part of |w|^2 along z", "1"),
        SymbolInfo(RD, "|w - w(0)|/|w(0)|", "1"),
        SymbolInfo(COSINE, "cosine of z and v_LS = G^-1 z", "1"),
        SymbolInfo(V_LS, "norm of the least-squares vector", "1"),
        SymbolInfo(m, "neurons", "1"),
        SymbolInfo(kappa, "scale of the output", "1"),
        SymbolInfo(D, "dimension of the inputs", "1"),
        SymbolInfo(A, "root mean square of a at the start, in units of its deviation", "1"),
        SymbolInfo(W, "root mean square of the entries of w at the start, likewise", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("turning", "random data, at the escape and at the plateau", turning),
        Experiment("frozen", "random data, a linear activation and a frozen output", frozen),
    ),
    controls=(),
    claims=CLAIMS,
    not_shown=(
        "what follows the plateau of the best linear output, where the cubic terms take over",
        "the time that the rotation takes",
    ),
    references=(
        "Z.-A. Chen, Y. Li, T. Luo, Z. Zhou, Z.-Q. J. Xu. Phase diagram of initial condensation "
        "for two-layer neural networks. arXiv:2303.06561.",
    ),
    docs="docs/laws/rotation-to-least-squares.md",
    derive=derive,
)  # fmt: skip
