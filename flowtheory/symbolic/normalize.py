r"""The normalized flow: every layer in units of its initial standard deviation.

For $\theta_l = \beta_l\bar\theta_l$, the output divided by $\alpha$, and a leading part of degree
$d_l$ in layer $l$, the flow of $\bar\theta$ in the time $\bar t$ depends on

$$\kappa = \frac1\alpha\prod_l\beta_l^{d_l},\qquad \kappa'_l = \frac{\beta_{l+1}}{\beta_l},\qquad
  t = \bar t\,\prod_l \beta_l^{2/L}$$

only: $d\bar\theta_l/d\bar t = \mu_l\kappa\,\nabla_l H(\bar\theta)$ with the mobility
$\mu_l = \prod_m \beta_m^{2/L}/\beta_l^2$, a product of powers of the $\kappa'_l$ and
$\prod_l\mu_l = 1$. For two layers, $w$ and then $a$,

$$\kappa = \frac{\beta_a\beta_w^p}\alpha,\quad \kappa' = \frac{\beta_a}{\beta_w},\quad
  t = \beta_a\beta_w\,\bar t, \qquad
  \dot{\bar a} = \frac\kappa{\kappa'}\,\partial_{\bar a}H,\quad
  \dot{\bar w} = \kappa\kappa'\,\partial_{\bar w}H,$$

where $t$ is the time of the gradient flow of the loss, summed or averaged as in the leading flow.

Source: Luo, Xu, Ma, Zhang, JMLR 22 (2021), arXiv 2007.07497, for two layers and $p = 1$.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from sympy import Mul, Rational, S, Symbol, log, solve

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.conserve.closed_form import gram, is_conserved, square_norm
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField, gradient_flow
from flowtheory.symbolic.homogeneity import degree_in
from flowtheory.symbolic.index import fresh
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.network import reduced_loss
from flowtheory.symbolic.phase import ALPHA, GAMMA, GAMMA_PRIME, KAPPA, KAPPA_PRIME, WIDTH

_PUBLISHED = "Luo, Xu, Ma, Zhang 2021"
_OURS = "derived here"


@dataclass(frozen=True)
class NormalizedFlow:
    r"""A flow in the units of its start. Tensors keep their names; their bars are dropped.

    Attributes:
        flow: The leading flow, in the original parameters.
        deviations: $\beta_l$, layer by layer from the input.
        degrees: $d_l$.
    """

    flow: LeadingFlow
    deviations: tuple[Symbol, ...]
    degrees: tuple[int, ...]

    @property
    def ratios(self) -> tuple[Symbol, ...]:
        r"""The symbols of $\kappa'_l = \beta_{l+1}/\beta_l$; $\kappa'$ for two layers."""
        count = len(self.degrees) - 1
        if count == 1:
            return (KAPPA_PRIME,)
        return tuple(Symbol(f"kappa'_{m}", positive=True) for m in range(1, count + 1))

    @property
    def time_unit(self) -> Expr:
        r"""$t/\bar t = \prod_l\beta_l^{2/L}$, which makes the product of the mobilities 1."""
        return Mul(*self.deviations) ** Rational(2, len(self.deviations))

    @cached_property
    def mobilities(self) -> tuple[Expr, ...]:
        r"""$\mu_l$ in terms of `ratios`: $\bar\theta_l' = (t/\bar t)\,\dot\theta_l/\beta_l$."""
        chain: list[Expr] = [self.deviations[0]]
        for ratio in self.ratios:
            chain.append(chain[-1] * ratio)
        in_ratios = dict(zip(self.deviations, chain, strict=True))
        # A gradient gains 1/beta_l by the chain rule, and the rate of theta_l/beta_l another one.
        return tuple((self.time_unit / beta**2).subs(in_ratios) for beta in self.deviations)

    @cached_property
    def field(self) -> VectorField:
        r"""The leading flow, with $\kappa$ and the ratios as symbols."""
        # H(beta theta) = prod beta^d H(theta), by the degree in every layer.
        return self.gradient_flow(-KAPPA * self.flow.potential)

    @cached_property
    def full_field(self) -> VectorField:
        r"""The flow of the loss itself, with the output $\kappa f(\bar\theta)$.

        Raises:
            ParameterError: The output is not homogeneous in a layer, as for tanh: then the standard
                deviations do not leave the flow.
        """
        network = self.flow.network
        for layer, degree in zip(network.layers, self.degrees, strict=True):
            if degree_in(network.output, layer) != degree:
                raise ParameterError(
                    f"the output of {network.name} is not homogeneous in {_names(layer)}",
                    expected="activations such as relu or z**2, which kappa and kappa' determine",
                    fix="use `field`, the leading flow",
                )
        scaled = replace(network, output=KAPPA * network.output)
        return self.gradient_flow(reduced_loss(scaled, self.flow.loss, self.flow.reduction))

    def gradient_flow(self, energy: Expr) -> VectorField:
        r"""$-\mu_l\nabla_l$ of an energy in normalized parameters."""
        components = []
        for layer, mobility in zip(self.flow.network.layers, self.mobilities, strict=True):
            plain = gradient_flow(energy, layer).components
            components += [(entry, mobility * rate) for entry, rate in plain]
        return VectorField(tuple(components))

    @cached_property
    def invariants(self) -> tuple[Expr, ...]:
        r"""$\sum\bar w_l^2 - \frac{d_l}{d_{l+1}}\kappa_l'^2\sum\bar w_{l+1}^2$, proved, by $l$.

        Per hidden unit, incoming minus outgoing weights, where that is constant: for two layers
        $|\bar w_j|^2 - p\,\kappa'^2\bar a_j^2$. Else for whole layers.
        """
        found = []
        for m, (inner, outer) in enumerate(pairwise(self.flow.network.layers)):
            weight = Rational(self.degrees[m], self.degrees[m + 1]) * self.ratios[m] ** 2
            law = next(
                (q for q in _laws(inner, outer, weight) if is_conserved(q, self.field)), None
            )
            found += [] if law is None else [law]
        return tuple(found)

    @cached_property
    def definitions(self) -> tuple[Formula, ...]:
        r"""$\kappa$, the ratios and the time unit in terms of $\alpha$ and the $\beta_l$."""
        meanings = {
            beta: f"standard deviation of {_names(layer)} at the start"
            for beta, layer in zip(self.deviations, self.flow.network.layers, strict=True)
        } | {ALPHA: "output scale: the output is divided by it"}
        powers = (b**d for b, d in zip(self.deviations, self.degrees, strict=True))
        rows: list[tuple[str, Expr]] = [("kappa", Mul(*powers) / ALPHA)]
        for ratio, (inner, outer) in zip(self.ratios, pairwise(self.deviations), strict=True):
            rows.append((ratio.name, outer / inner))
        rows.append(("time unit", self.time_unit))
        source = _PUBLISHED if self.degrees == (1, 1) else _OURS
        return tuple(Formula(n, expr, meanings, (), S.Zero, source) for n, expr in rows)

    @property
    def exponents(self) -> tuple[Formula, ...]:
        r"""$\gamma = -\ln\kappa/\ln m$, and the same of the ratios."""
        return tuple(
            Formula(gamma.name, -log(scale) / log(WIDTH), _meanings(scale), (), S.Zero, _PUBLISHED)
            for gamma, scale in self._pairs
        )

    @property
    def scales(self) -> tuple[Formula, ...]:
        r"""The inverse, $\kappa = m^{-\gamma}$, solved from `exponents`."""
        found = []
        for (gamma, scale), exponent in zip(self._pairs, self.exponents, strict=True):
            (inverse,) = solve(exponent.expression - gamma, scale)
            found.append(Formula(scale.name, inverse, _meanings(gamma), (), S.Zero, _PUBLISHED))
        return tuple(found)

    @property
    def _pairs(self) -> tuple[tuple[Symbol, Symbol], ...]:
        """Exponents with their scales."""
        if len(self.ratios) == 1:
            return ((GAMMA, KAPPA), (GAMMA_PRIME, KAPPA_PRIME))
        primes = (Symbol(f"gamma'_{m}", real=True) for m in range(1, len(self.ratios) + 1))
        return ((GAMMA, KAPPA), *zip(primes, self.ratios, strict=True))


def normalize(flow: LeadingFlow) -> NormalizedFlow:
    r"""Put every layer of `flow` in units $\beta_l$ of its start.

    Raises:
        ParameterError: The network has one layer only, a layer does not move, a constant is fitted
            first, or the leading part is not homogeneous in every layer.
    """
    network = flow.network
    still = [e for e in network.parameters if e not in flow.moving]
    if len(network.layers) < 2 or still or flow.fit is not None:
        raise ParameterError(
            f"the leading flow of {network.name} has no layers to compare",
            expected="two layers or more, all in the leading part, and no constant that is fitted",
            fix="use equal scales and no output bias, and centre the activation",
        )
    deviations = tuple(
        Symbol(f"beta_{_names(layer).replace(', ', '')}", positive=True) for layer in network.layers
    )
    return NormalizedFlow(flow, deviations, tuple(flow.layer_degrees.values()))


def _laws(inner: tuple[Indexed, ...], outer: tuple[Indexed, ...], weight: Expr) -> list[Expr]:
    """What may be constant between two layers: per unit if their shapes fit, and in the whole."""
    laws = []
    shared = inner[0].shape[0]
    following = [e for e in outer if e.shape and e.shape[-1] == shared]
    if following and all(e.shape and e.shape[0] == shared for e in inner):
        unit = fresh(shared, ())
        incoming = sum(gram(e, 0, unit, unit) for e in inner)
        last = following[0]
        laws.append(incoming - weight * gram(last, len(last.shape) - 1, unit, unit))
    whole = sum(map(square_norm, inner)) - weight * sum(map(square_norm, outer))
    return [*laws, whole]


def _meanings(symbol: Symbol) -> dict[Symbol, str]:
    scales = {GAMMA: "minus the exponent of kappa in the width", KAPPA: "scale of the output"}
    named = "minus the exponent of a ratio of layer scales in the width"
    if symbol.name.startswith("kappa'"):
        named = "standard deviation of a layer over that of the layer below"
    return {symbol: scales.get(symbol, named), WIDTH: "number of neurons of a layer"}


def _names(layer: tuple[Indexed, ...]) -> str:
    return ", ".join(str(entry.base) for entry in layer)
