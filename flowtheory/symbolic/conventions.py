r"""How papers write the scales of a two-layer network, and the conversion between them.

A convention is an `Initialization` whose scales are its own symbols, with the unit in which it
measures time. Networks with equal $\kappa$, $\kappa'$ follow one trajectory in normalized units
(`scalings`), for activations homogeneous of degree $p$ exactly, for smooth ones in the limit of
small input weights. A conversion keeps $\kappa$, $\kappa'$, and the activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Integer, S, Symbol, cancel, powdenest, solve

from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import ALPHA, EPSILON, NU
from flowtheory.symbolic.scalings import Initialization

BETA_1, BETA_2 = Symbol("beta_1", positive=True), Symbol("beta_2", positive=True)
_MEANINGS = {
    ALPHA: "divisor of the output",
    BETA_1: "standard deviation of the output weights",
    BETA_2: "standard deviation of every input weight",
    NU: "standard deviation of the output weights",
    EPSILON: "standard deviation of every input weight",
}


@dataclass(frozen=True)
class Convention:
    r"""The scales of one paper.

    Attributes:
        name: As it is found by.
        scales: $\alpha$, $\beta_1$, $\beta_2$ in the paper's symbols.
        time_unit: Time of the gradient flow over the time of the paper.
        source: The paper.
        verified: Whether it was checked against the text of the paper; else it is from memory.
        note: What else is to be said.
    """

    name: str
    scales: Initialization
    time_unit: Expr
    source: str
    verified: bool
    note: str = ""

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The free scales, in the order of `scales`."""
        ordered = (self.scales.alpha, self.scales.beta1, self.scales.beta2)
        return tuple(s for s in ordered if isinstance(s, Symbol))

    def with_multiplicity(self, multiplicity: int) -> Initialization:
        """The scales for an activation of this degree."""
        one = self.scales
        return Initialization(one.name, one.alpha, one.beta1, one.beta2, multiplicity)

    def coordinates(self, multiplicity: int = 1) -> tuple[Formula, Formula]:
        r"""$\kappa$ and $\kappa'$ in the paper's symbols."""
        scales = self.with_multiplicity(multiplicity)
        rows = (("kappa", scales.kappa), ("kappa'", scales.kappa_prime))
        one, other = (self._formula(name, value) for name, value in rows)
        return one, other

    def _formula(self, name: str, expression: Expr) -> Formula:
        source = self.source if self.verified else f"{self.source}, not verified"
        return Formula(f"{name}, {self.name}", expression, _MEANINGS, (), S.Zero, source)


LUO, CHEN = "luo", "chen"
CONVENTIONS: Mapping[str, Convention] = {
    LUO: Convention(
        LUO,
        Initialization("Luo et al.", ALPHA, BETA_1, BETA_2),
        BETA_1 * BETA_2,
        "Luo, Xu, Ma, Zhang, JMLR 22 (2021), arXiv 2007.07497",
        verified=True,
        note="ReLU; gamma and gamma' are minus the exponents of kappa and kappa'",
    ),
    CHEN: Convention(
        CHEN,
        Initialization("Chen et al.", Integer(1), NU, EPSILON),
        Integer(1),
        "Chen, Li, Luo, Zhou, Xu (2023), arXiv 2303.06561",
        verified=False,
        note="smooth activations of multiplicity 1; the axes are those of Luo et al., alpha = 1",
    ),
}
"""The conventions of the two papers on two-layer networks. The three-layer paper (arXiv 2205.12101)
has $\\gamma_3 = -\\log(\\beta_1\\beta_2\\beta_3/\\alpha)/\\log m$, and an exponent $\\gamma_2$ of a
ratio of layers; neither was checked against its text. The $\\gamma_2$ of `depth_regimes` is defined
there; `depth_exponents` is its line $\\gamma_2 = 0$ of equal scales, with $\\gamma = \\gamma_3$."""


@dataclass(frozen=True)
class Conversion:
    r"""The scales of one convention in the symbols of another, for the same trajectory.

    Attributes:
        scales: Every free scale of the target, or those that $\kappa$, $\kappa'$ determine.
        time: Time of the target's paper over the time of the other's.
    """

    scales: Mapping[Symbol, Formula]
    time: Formula


def convert(given: str, target: str, multiplicity: int = 1) -> Conversion:
    r"""Scales of `target` with the $\kappa$ and $\kappa'$ of `given`.

    Where the target has three scales, its $\alpha$ is free.

    Args:
        given: Name of a convention.
        target: Name of the other.
        multiplicity: $p$.

    Raises:
        UnknownNameError: There is no such convention.
        ParameterError: `multiplicity` is no positive integer, or the two are one.
    """
    one, other = (_find(name) for name in (given, target))
    if one is other:
        raise ParameterError(
            f"both conventions are {given}", expected="two of them", fix=", ".join(CONVENTIONS)
        )
    if not isinstance(multiplicity, int) or multiplicity < 1:
        raise ParameterError(
            f"the multiplicity is {multiplicity!r}",
            expected="a positive integer",
            fix="1 for ReLU and tanh",
        )
    pairs = zip(one.coordinates(multiplicity), other.coordinates(multiplicity), strict=True)
    unknown = other.symbols[-2:]
    (found,) = solve([a.expression - b.expression for a, b in pairs], unknown, dict=True)
    scales = {s: powdenest(found[s], force=True) for s in unknown}
    # The normalized time t/(beta_1 beta_2) is the same for both.
    normalized = [c.scales.time_unit for c in (one, other)]
    ratio = (normalized[1] / other.time_unit) / (normalized[0] / one.time_unit)
    time = powdenest(cancel(ratio.subs(scales)), force=True)
    return Conversion(
        {s: _converted(str(s), value, one, other) for s, value in scales.items()},
        _converted("time", time, one, other),
    )


def _converted(name: str, value: Expr, one: Convention, other: Convention) -> Formula:
    title = f"{name} of {other.name} from {one.name}"
    return Formula(title, value, _MEANINGS, (), S.Zero, "derived here")


def _find(name: str) -> Convention:
    if name not in CONVENTIONS:
        raise unknown_name("convention", name, CONVENTIONS)
    return CONVENTIONS[name]
