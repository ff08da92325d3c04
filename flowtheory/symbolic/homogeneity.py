"""Degrees of expressions in some of the parameters, proved by expansion in their scale."""

from __future__ import annotations

from collections.abc import Iterable

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expand import expand_to_gap, leading_power
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.normal import is_zero


def degree_in(expr: Expr, entries: Iterable[Indexed]) -> int | None:
    r"""Degree $d$ of `expr`: $g(\varepsilon\theta) = \varepsilon^d g(\theta)$, $\varepsilon > 0$.

    Args:
        expr: Sums of products of tensor entries and activations.
        entries: Generic entries of the tensors $\theta$ that are scaled; others stay.

    Returns:
        The degree; None if there are several powers or an infinite series.
    """
    scales = {entry.base: 1 for entry in entries}
    expansion = expand_to_gap(expr, scales, leading_power(expr, scales))
    return expansion.powers[0] if expansion.exact and len(expansion.powers) == 1 else None


def gradient_degree(flow: LeadingFlow) -> int:
    r"""The degree of $H$ in the parameters that move, if their flow is $\dot\theta = \nabla H$.

    Raises:
        ParameterError: $H$ is not homogeneous in them, or a fitted constant projects the gradient.
    """
    own = gradient_flow(-flow.potential, flow.moving)
    degree = degree_in(flow.potential, flow.moving)
    if degree is None or not all(is_zero(flow.field[e] - rate) for e, rate in own.components):
        raise ParameterError(
            f"the leading flow of {flow.network.name} is not the gradient flow of a homogeneous H",
            expected="a leading part of one degree, and no constant that is fitted along with it",
            fix="leave out the output bias, or centre the activation: sigma(z) - sigma(0)",
        )
    return degree
