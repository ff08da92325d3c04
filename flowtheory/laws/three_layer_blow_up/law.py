r"""Finite-time blow-up of the leading flow of three and more layers, and its time in brackets.

The leading flow is $\dot\theta = \nabla H$ with $H = v^T W_{L-1}\cdots W_1 z$. Starts with $H > 0$
blow up within explicit times; every Gaussian start with $H < 0$ that was tried does as well.
"""

from __future__ import annotations

import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, LowerBound, Proportion, Slope, UpperBound
from flowtheory.laws.attacked import attack_experiment
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Statement, SymbolInfo
from flowtheory.laws.starts import brackets
from flowtheory.laws.three_layer_blow_up.attacks import attacks
from flowtheory.laws.three_layer_blow_up.experiments import (
    DEPTHS,
    LOWER,
    NUMBERS,
    UPPER,
    ends,
    starts,
)
from flowtheory.laws.three_layer_blow_up.figures import figures
from flowtheory.symbolic import Derivation, Line, SelfSimilar, aligned_layers
from flowtheory.symbolic.blowup import balanced
from flowtheory.symbolic.brackets import VALUE

SOURCE = "flowtheory, docs/laws/three-layer-blow-up"

ATTACKS = attacks()
THREE = brackets(3)
s, GAINS = THREE.flow.strength, THREE.flow.gains
T = sp.Symbol("T", positive=True)
R, L, x = sp.symbols("R L x", positive=True)

# The exponents of the engine for three layers, with k - 2 in place of 1.
END = SelfSimilar(THREE.flow)
TANGENT = 1 + (END.tangent_exponent - 1) / (L - 2)
ENERGY = 1 + (END.energy_exponent - 1) / (L - 2)


def derive() -> Derivation:
    """The bounds of three layers from the degrees of the derived flow."""
    e = sp.Symbol("e")
    lines = (
        Line("leading part", sp.Eq(VALUE, THREE.flow.potential), "aligned: one gain a layer"),
        Line("(i)", sp.Le(T, THREE.tangent_upper), "the tangent to the concave 1/|theta|"),
        Line("(ii)", sp.Ge(T, THREE.norm_lower), "H/|theta|^3 at most its maximum"),
        Line("(iii), from below", sp.Ge(T, THREE.layers_lower), "H at most s |v||W2||W1 z|/|z|"),
        Line("(iii), from above", sp.Le(T, THREE.layers_upper), "H/(|v||W2||W1 z|) never falls"),
        Line("(iv)", sp.Le(T, THREE.energy_upper), "H' >= 3 s^(2/3) H^(4/3)"),
        Line("(i) and (iii) near T*", sp.Eq(e, END.tangent_exponent), "T_up - T* ~ (T* - t)^e"),
        Line("(iv) near T*", sp.Eq(e, END.energy_exponent), "T_up - T* ~ (T* - t)^e"),
    )
    return Derivation("Blow-up of three layers: its time in brackets", lines)


def _bounds(layers: int) -> list[Claim]:
    """The brackets of `layers` layers, on Gaussian starts and on those that attain them."""
    found = brackets(layers)
    attaining, positive, negative = (
        f"L = {layers}, {kind}" for kind in ("attaining", "H > 0", "H < 0")
    )
    above = [
        Claim(
            f"{NUMBERS[name]}: T* at most its bound, L = {layers}", "starts", UpperBound(), bound,
            {
                "tightened by 20 %": sp.Rational(4, 5) * bound,
                "a power of H more": bound * VALUE ** sp.Rational(1, layers),
            },
            families=(positive, attaining),
        )
        for name in UPPER
        for bound in [getattr(found, name)]
    ]  # fmt: skip
    below = [
        Claim(
            f"{NUMBERS[name]}: T* at least its bound, L = {layers}", "starts", LowerBound(), bound,
            {
                "tightened by 20 %": sp.Rational(6, 5) * bound,
                "a power of the norm less": bound / found.norm,
            },
            families=(positive, negative, attaining),
        )
        for name in LOWER
        for bound in [getattr(found, name)]
    ]  # fmt: skip
    return [*above, *below, _attained(layers)]


def _attained(layers: int) -> Claim:
    flow = aligned_layers(layers)
    time = flow.blow_up_time.subs(balanced(flow, x))
    return Claim(
        f"all bounds are attained, L = {layers}", "starts", Equality(1e-8), time,
        {
            "L - 1 in place of L - 2": time * sp.Rational(layers - 2, layers - 1),
            "a power of the gain more": time * x,
        },
        families=(f"L = {layers}, attaining",), axis="x",
    )  # fmt: skip


def _closing(names: tuple[str, ...], exponent: sp.Expr, wrong: dict[str, sp.Expr]) -> Claim:
    """The exponent of T_up - T*, over all depths at once: its axis is the claimed power."""
    return Claim(
        f"{' and '.join(names)}: T_up - T* is of order (T* - t)^({sp.sstr(exponent)})", "ends",
        Slope(axis(exponent * sp.log(R)), tolerance=0.03, log=True, replicates=True),
        R**exponent, {name: R**power for name, power in wrong.items()},
        families=tuple(f"L = {layers}, {name}" for layers in DEPTHS for name in names),
    )  # fmt: skip


LAW = Law(
    name="three-layer-blow-up",
    title="finite-time blow-up of three-layer leading flows, with its time in brackets",
    statements=(
        Statement(
            "three layers blow up", "published", sp.StrictLessThan(T, sp.oo, evaluate=False),
            "Chen, Luo, arXiv:2402.15958, abstract",
            "under a condition on the start that they call generic; no time is given there",
        ),
        *(
            Statement(name, "derived", relation(T, bound, evaluate=False), SOURCE, note)
            for name, relation, bound, note in (
                ("(i)", sp.Le, THREE.tangent_upper, "H > 0"),
                ("(ii)", sp.Ge, THREE.norm_lower, ""),
                ("(iii), from below", sp.Ge, THREE.layers_lower, ""),
                ("(iii), from above", sp.Le, THREE.layers_upper, "H > 0"),
                ("(iv)", sp.Le, THREE.energy_upper, "H > 0"),
            )
        ),
    ),
    symbols=(
        SymbolInfo(T, "blow-up time T* of the leading flow", "1/(gain*drive)"),
        SymbolInfo(s, "length of the moment z = mean of y_i x_i", "drive"),
        SymbolInfo(VALUE, "v.W2 W1 z at the start", "drive*gain**3"),
        SymbolInfo(GAINS[0], "|W1 z|/|z| at the start", "gain"),
        SymbolInfo(GAINS[1], "|W2| (Frobenius) at the start", "gain"),
        SymbolInfo(GAINS[2], "|v| at the start", "gain"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("starts", "Gaussian starts of both signs of H; balanced aligned starts", starts),
        attack_experiment(ATTACKS),
        Experiment("ends", "the bounds restarted on the way to the blow-up", ends),
    ),
    controls=(),
    claims=(
        Claim(
            "starts with H > 0 blow up", "starts", Proportion(0.1), sp.Integer(1),
            {"half of them": sp.Rational(1, 2)}, families=("H > 0: fate",),
        ),
        Claim(
            "starts with H < 0 blow up", "starts", Proportion(0.1), sp.Integer(1),
            {"none of them": sp.Integer(0), "half of them": sp.Rational(1, 2)},
            families=("H < 0: fate",),
        ),
        *(claim for layers in DEPTHS for claim in _bounds(layers)),
        *(one.claim() for one in ATTACKS),
        _closing(
            ("(i)", "(iii), from above"), TANGENT,
            {"half the gain in order": 1 + (TANGENT - 1) / 2, "that of (iv)": ENERGY},
        ),
        _closing(("(iv)",), ENERGY, {"that of (i)": TANGENT, "one order more": ENERGY + 1}),
    ),
    attacks=ATTACKS,
    varied=("L", "s", "x_1", "x_2", "x_3"),
    not_shown=(
        "that H < 0 blows up for almost every start: 100 % of the Gaussian ones did, no proof; "
        "on the stable manifold of the saddle, as for gains (1, 1, -1), T* is infinite",
        "several outputs of unequal strength, where (iv) fails and (iii) has the largest one",
        "the network itself beyond its leading flow, which stops growing when it fits",
    ),
    references=(
        "Z.-A. Chen, T. Luo. On the dynamics of three-layer neural networks: initial condensation. "
        "arXiv:2402.15958.",
    ),
    docs="docs/laws/three-layer-blow-up.md",
    derive=derive,
    figures=figures,
)  # fmt: skip
