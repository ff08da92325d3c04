r"""Norm and direction of all parameters together, and of each neuron of a two-layer network.

For a gradient flow $\dot\theta = \nabla H$ with $H$ of degree $k$, $\xi = \theta/|\theta|$ and
$\rho = \ln|\theta|$ obey, in the clock $d\sigma = |\theta|^{k-2}d\tau$,

$$\xi' = \nabla H(\xi) - k H(\xi)\,\xi, \qquad \rho' = k H(\xi), \qquad
  \tau' = e^{-(k-2)\rho}.$$

Nothing grows without bound there in a finite time: a blow-up at $\tau = T^*$ is
$\sigma \to \infty$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Add, Symbol, exp, expand, log, sqrt

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract, replace_entries
from flowtheory.symbolic.direction import R, U, to_direction
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField
from flowtheory.symbolic.homogeneity import gradient_degree
from flowtheory.symbolic.index import fresh, sum_over, tensor, tidy
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.normal import fold, is_zero

RHO, ELAPSED = tensor("rho")[()], tensor("tau")[()]
_NORM = tensor("r", positive=True)[()]
_VALUE = Symbol("H", real=True)


@dataclass(frozen=True)
class PolarFlow:
    r"""A homogeneous gradient flow in norm and direction.

    Attributes:
        degree: $k$.
        directions: For the generic entry of every tensor that moves, that of its part of $\xi$,
            such as `xi_W`; the squares of all parts together sum to 1.
        potential: $H(\xi)$; it never decreases.
        field: The rates of $\xi$, $\rho$ and $\tau$ in the clock $\sigma$.
    """

    degree: int
    directions: Mapping[Indexed, Indexed]
    potential: Expr
    field: VectorField


def polar_flow(flow: LeadingFlow) -> PolarFlow:
    r"""Differentiate $\theta/|\theta|$ and $\ln|\theta|$ along the leading flow.

    Raises:
        ParameterError: The flow is not the gradient flow of a homogeneous $H$.
    """
    k = gradient_degree(flow)
    xi = {e: tensor(f"xi_{e.base}", *e.shape)[e.indices] for e in flow.moving}
    at_xi: dict[Indexed, Expr] = dict(xi)
    force = {e: tensor(f"F_{e.base}", *e.shape)[e.indices] for e in flow.moving}
    named = VectorField(tuple((e, force[e]) for e in flow.moving))
    # d|theta|^2 = 2 |theta| d|theta|: the norm joins the state, and no root has to be taken.
    square = Add(*(_inner(e, e) for e in flow.moving))
    grown = VectorField((*named.components, (_NORM, named.along(square) / (2 * _NORM))))
    # theta = r xi, and the gradient of H has the degree k - 1.
    scaled = {e: _NORM * xi[e] for e in flow.moving}
    scaled |= {force[e]: _NORM ** (k - 1) * force[e] for e in flow.moving}
    inner = [_inner(xi[e], force[e]) for e in flow.moving]
    euler = {inner[-1]: k * _VALUE - Add(*inner[:-1])}
    potential = replace_entries(flow.potential, at_xi)
    actual = {force[e]: replace_entries(flow.field[e], at_xi) for e in flow.moving}

    def rate(quantity: Expr) -> Expr:
        """The rate in the clock sigma, on the unit sphere."""
        raw = contract(replace_entries(grown.along(quantity), scaled)) / _NORM ** (k - 2)
        on_sphere = expand(fold(tidy(raw), euler)).xreplace({_VALUE: potential})
        return tidy(contract(replace_entries(on_sphere, actual)))

    return PolarFlow(
        degree=k,
        directions=xi,
        potential=potential,
        field=VectorField(
            (
                *((xi[e], rate(e / _NORM)) for e in flow.moving),
                (RHO, rate(log(_NORM))),
                (ELAPSED, exp(-(k - 2) * RHO)),
            )
        ),
    )


@dataclass(frozen=True)
class NeuronPolar:
    r"""One neuron of a decoupled flow, $w = R\,u$ with $|u| = 1$, in the time of the flow.

    $$\dot u = v R^{p-2}(\nabla H(u) - p H(u)\,u), \quad \dot R = p\,v R^{p-1} H(u), \quad
      \dot v = R^p H(u).$$

    Attributes:
        multiplicity: $p$, the degree of $H(w) = \dot v$.
        potential: $H(u_j)$.
        gradient: $\nabla H(u_j)$, entry $p$.
        field: The rates of `u`, `R` and the output weight.
    """

    multiplicity: int
    potential: Expr
    gradient: Expr
    field: VectorField


def neuron_polar(flow: LeadingFlow) -> NeuronPolar:
    r"""Differentiate $w_j/|w_j|$ and $|w_j|$ along the leading flow, for every multiplicity $p$.

    That the neurons do not see each other, that $H = \sum_j v_j H(w_j)$, and that $H(w)$ has the
    degree $p$, is verified.

    Raises:
        ParameterError: One of these fails.
    """
    W, v = _neuron(flow)
    p = gradient_degree(flow) - 1
    value, gradient = tensor("H", v.shape[0])[v.indices], tensor("G", *W.shape)[W.indices]
    named = VectorField(((W, v * gradient), (v, value)))
    coordinates = (W.indices[1], W.shape[1])
    q = fresh(W.shape[1], {W.indices[1]})
    norm = sqrt(sum_over(W.base[W.indices[0], q] ** 2, (q, W.shape[1])))
    scaled = {W: R * U, gradient: R ** (p - 1) * gradient, value: R**p * value}
    euler = {sum_over(U * gradient, coordinates): p * value}
    on_sphere = {W: U}
    potential = replace_entries(flow.field[v], on_sphere)
    slope = replace_entries(flow.field[W].coeff(v), on_sphere)

    def rate(quantity: Expr) -> Expr:
        derived = to_direction(named.along(quantity), scaled, euler)
        return tidy(contract(replace_entries(derived, {value: potential, gradient: slope})))

    field = VectorField(((U, rate(W / norm)), (R, rate(norm)), (v, rate(v))))
    return NeuronPolar(p, potential, slope, field)


def _neuron(flow: LeadingFlow) -> tuple[Indexed, Indexed]:
    """The input and output weights of a flow that decouples into neurons."""
    W = next((e for e in flow.moving if e.shape == U.shape), None)
    v = next((e for e in flow.moving if e.shape == R.shape), None)
    if W is not None and v is not None and len(flow.moving) == 2 and flow.field.decoupled():
        total = sum_over(v * flow.field[v], (v.indices[0], v.shape[0]))
        if is_zero(flow.potential - total) and is_zero(flow.field[W].coeff(v) * v - flow.field[W]):
            return W, v
    raise ParameterError(
        f"the leading flow of {flow.network.name} does not decouple into neurons",
        expected="H = sum_j v_j H(w_j), as for a two-layer network with a scalar output",
        fix="use `polar_flow`, the norm and direction of all parameters together",
    )


def _inner(left: Indexed, right: Indexed) -> Expr:
    return sum_over(left * right, *zip(left.indices, left.shape, strict=True))
