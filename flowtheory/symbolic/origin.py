r"""The spectrum of $-\nabla^2 L$ at the origin, read off the derived leading flow.

A leading part of degree 2 couples tensors in pairs, $H = \sum_j\langle a_j, M w_j\rangle$ for every
neuron $j$; then $\ddot a_j = M M^T a_j$, and the rates are plus and minus the singular values of
the data moment $M$, each as often as there are neurons. Above degree 2 the Hessian is zero.
"""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Abs, Add, KroneckerDelta, Min, Mul, Pow, S, cancel, expand, factor_terms, sqrt

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField, gradient_flow
from flowtheory.symbolic.index import apart, fresh, index, sum_over, tensor
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.linearize import Spectrum
from flowtheory.symbolic.normal import normal

Parts = list[tuple[Expr, Expr]]


def linearize_origin(flow: LeadingFlow) -> Spectrum:
    r"""The growth rates at the saddle from which `flow` starts.

    For a two-layer network with $\sigma'(0) = c_1$ and one output these are $\pm c_1|z|$, $h$ of
    each, and 0 for the $h(D - 1)$ other directions; for several outputs the singular values of $Z$
    take the place of $|z|$. A constant is fitted at the rate $-K$, $K = |\nabla g|^2\sum_i h_i$; if
    the leading part drives it, then $K$ and one pair $\pm\lambda$ become the two roots of
    $\mu^2 + K\mu = \lambda^2$. With $\sigma(0) \ne 0$ this is the origin only if $s = 0$.

    Raises:
        ParameterError: There is no saddle, an activation has a kink there, layers have different
            scales, or the rates have no closed form that is known here.
    """
    _check(flow)
    parts: Parts = []
    field = gradient_flow(-flow.leading_part, flow.moving)
    if flow.degree == 2:
        for component in _components(field):
            parts += _rates(flow, field, component)
    if flow.fit is not None:
        parts = _with_fit(flow, parts)
    parts = [(rate, count) for rate, count in parts if count != 0]
    total = Add(*(Mul(*entry.shape) for entry in flow.network.parameters))
    zeros = (total - Add(*(count for _, count in parts))).expand()
    return Spectrum((*parts, (S.Zero, zeros)))


def _check(flow: LeadingFlow) -> None:
    if len(set(flow.scales.values())) > 1:
        raise ParameterError(
            f"the scales are {dict(flow.scales)}",
            expected="equal scales: the origin is the limit of all parameters together",
            fix="leave out `scales`",
        )
    if not flow.is_saddle:
        raise ParameterError(
            f"the loss of {flow.network.name} varies at first order at the origin",
            expected="a saddle",
            fix="use a network with a hidden layer",
        )
    if flow.potential.has(Ramp):
        raise ParameterError(
            f"{flow.network.name} has a kink at the origin",
            expected="a smooth activation",
            fix="linearize within one activation pattern",
        )


def _components(field: VectorField) -> Iterator[list[Indexed]]:
    """The moving tensors in groups that drive each other."""
    left = [entry for entry, rate in field.components if rate != 0]
    while left:
        group = [left.pop(0)]
        for entry in group:
            driving = {e.base for e in field[entry].atoms(Indexed)}
            joined = [e for e in left if e.base in driving]
            left = [e for e in left if e not in joined]
            group += joined
        yield group


def _rates(flow: LeadingFlow, field: VectorField, group: list[Indexed]) -> Parts:
    """The rates of one group, from the acceleration of its smallest tensor."""
    entry = min(group, key=lambda e: len(e.shape))
    other = apart(entry, entry.indices)
    matrix = gradient(field.along(field[entry]), other)
    terms = _by_deltas(contract(expand(contract(matrix))), entry, other)
    lengths = dict(enumerate(entry.shape))
    kept = max(terms, key=len)
    block = flow.in_moments(terms.pop(kept))
    number = Mul(*(lengths[m] for m in kept))
    if not terms and len(kept) == len(lengths):
        return _pair(_root(block), number)
    found = None if terms else _singular(block, entry, other, set(lengths) - kept)
    if found is None:
        raise ParameterError(
            f"the acceleration of {entry} has the matrix {Add(block, *terms.values())}",
            expected="singular values of one data moment",
            fix="linearize at numbers",
        )
    return _pair(found[0], number * found[1])


def _root(square: Expr) -> Expr:
    """The positive root; entries are real."""
    return sqrt(factor_terms(square)).replace(
        lambda e: isinstance(e, Pow) and e.exp == S.Half and isinstance(e.base, Pow),
        lambda e: Abs(e.base.base) if e.base.exp == 2 else e,
    )


def _pair(rate: Expr, number: Expr) -> Parts:
    return [(rate, expand(number)), (-rate, expand(number))]


def _by_deltas(matrix: Expr, entry: Indexed, other: Indexed) -> dict[frozenset[int], Expr]:
    """The terms of a matrix by the positions at which they are diagonal, without the deltas."""
    found: dict[frozenset[int], Expr] = {}
    for term in Add.make_args(matrix):
        kept, rest = [], S.One
        for factor in Mul.make_args(term):
            pairs = list(zip(entry.indices, other.indices, strict=True))
            position = next(
                (m for m, pair in enumerate(pairs) if factor == KroneckerDelta(*pair)), None
            )
            if position is None:
                rest = rest * factor
            else:
                kept.append(position)
        key = frozenset(kept)
        found[key] = found.get(key, S.Zero) + rest
    return {key: value for key, value in found.items() if normal(value) != 0}


def _singular(
    gram: Expr, entry: Indexed, other: Indexed, mixed: set[int]
) -> tuple[Expr, Expr] | None:
    r"""Rate and number if `gram` is $c^2 \sum_p M_{op} M_{o'p}$: $c$ times singular values."""
    bases = {e.base for e in gram.atoms(Indexed)}
    if len(bases) != 1 or len(mixed) != 1:
        return None
    (position,) = mixed
    (base,) = bases
    own, extent = entry.indices[position], entry.shape[position]
    if len(base.shape) != 2 or extent not in base.shape:
        return None
    side = base.shape.index(extent)
    summed = base.shape[1 - side]
    p = fresh(summed, {own, other.indices[position]})

    def at(i: Expr) -> Indexed:
        return base[(i, p) if side == 0 else (p, i)]

    product = sum_over(at(own) * at(other.indices[position]), (p, summed))
    ratio = cancel(normal(gram) / normal(product))
    if not ratio.is_positive:
        return None
    number = Min(*base.shape)
    value = tensor("sigma", number, positive=True)[index("r")]
    return sqrt(ratio) * value, number


def _with_fit(flow: LeadingFlow, parts: Parts) -> Parts:
    """The rates together with those of the constants that are fitted."""
    assert flow.fit is not None
    outputs = Mul(*(extent for _, extent in flow.network.axes[1:]))
    relaxation = _relaxation(flow)
    if flow.misfit == 0:
        return [*parts, (-relaxation, outputs)]
    if outputs != 1 or len(parts) != 2 or len(flow.fit.shift) != 1:
        raise ParameterError(
            f"the constants of {flow.network.name} are driven by the leading part",
            expected="one output, whose constant is moved by one tensor",
            fix="linearize at numbers, or use `activation.centred()`",
        )
    (rate, number), _ = parts
    root = sqrt(relaxation**2 + 4 * rate**2)
    return [
        *_pair(rate, number - 1),
        ((root - relaxation) / 2, S.One),
        ((-root - relaxation) / 2, S.One),
    ]


def _relaxation(flow: LeadingFlow) -> Expr:
    r"""$|\nabla g|^2 \sum_i h_i$, the rate at which the constant is fitted."""
    if flow.loss.couples:
        raise ParameterError(
            f"the loss {flow.loss.name!r} couples the outputs whose constants are fitted",
            expected="a loss that is a sum over outputs",
            fix="linearize at numbers",
        )
    assert flow.fit is not None
    return flow.fit.square * flow.share * sum_over(flow.curvature, flow.network.axes[0])
