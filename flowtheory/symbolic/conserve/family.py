r"""The vector fields along which a law must be constant, one constructor for each question.

Three questions have different answers, and each has its own constructor:

- all data and all losses (`all_data`, `gradients`): the flows of every data set are combinations of
  $\nabla\varphi_i$, where the output is $f(\varphi(\theta), x)$;
- the leading flow at small initialization, for all targets (`leading_order`);
- one given flow (`one_flow`, `given_flow`), for which fewer fields leave more laws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from sympy import Add, Integer, Poly, PolynomialError, Rational, Sum, Symbol, expand

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp
from flowtheory.symbolic.conserve.polynomial import (
    Field,
    NotPolynomialError,
    Polynomial,
    gradient_field,
    primitive,
    read_field,
    variables,
)
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import axes_of, free_axes, rebuild, substitute
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.network import SAMPLES, Network

ALL_DATA = "all data and all losses"
LEADING_ORDER = "the leading flow at small initialization, for all targets"
ONE_FLOW = "one given flow"


@dataclass(frozen=True)
class Family:
    r"""Polynomial vector fields on $R^D$; a law is constant along each of them.

    Attributes:
        question: For which flows a law of this family holds.
        parameters: The $D$ names of the variables.
        fields: The fields, with integer coefficients; variables are numbered.
        monomials: The potentials, if every field is the gradient of a single monomial.
    """

    question: str
    parameters: tuple[Symbol, ...]
    fields: tuple[Field, ...]
    monomials: tuple[Polynomial, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a family in which nothing moves."""
        if not self.fields:
            raise ParameterError(
                "every field is zero",
                expected="a flow that moves at least one parameter",
                fix="check that the parameters listed are those in the expressions",
            )

    @property
    def dimension(self) -> int:
        """$D$."""
        return len(self.parameters)


def potentials(
    phi: Iterable[Polynomial], parameters: Sequence[Symbol], question: str = ALL_DATA
) -> Family:
    r"""The fields $\nabla\varphi_i$ of polynomials with numbered variables."""
    chosen = tuple(p for p in phi if variables(p))
    single = chosen if all(len(p) == 1 for p in chosen) else None
    fields = tuple(primitive(gradient_field(p)) for p in chosen)
    return Family(question, tuple(parameters), fields, single)


def gradients(
    outputs: Iterable[Expr], parameters: Sequence[Symbol], question: str = ALL_DATA
) -> Family:
    r"""The fields $\nabla\varphi_i$, where `outputs` are polynomials in parameters and data.

    Every symbol that is not a parameter is data and takes all values, so that each coefficient of a
    monomial in the data is a $\varphi_i$ of its own. For all data and all losses this needs
    $\partial_z \ell(z, y)$ to span all directions of the output, as for the square loss.

    Args:
        outputs: The entries of the output, or one potential.
        parameters: The parameters.
        question: For which flows a law of this family holds.
    """
    phi: list[Polynomial] = []
    for output in outputs:
        for part in _coefficients(output, parameters):
            field = read_field({0: part}, parameters)
            phi.append(field.get(0, {}))
    return potentials(phi, parameters, question)


def one_flow(rates: Mapping[Symbol, Expr]) -> Family:
    r"""One flow $\dot\theta_i$ = `rates[theta_i]`, polynomial with rational coefficients."""
    return vector_fields([rates], tuple(rates), ONE_FLOW)


def vector_fields(
    fields: Iterable[Mapping[Symbol, Expr]],
    parameters: Sequence[Symbol],
    question: str,
) -> Family:
    r"""Fields that need not be gradients, such as those of momentum or of a metric.

    Args:
        fields: For each field its components, polynomial with rational coefficients; a parameter
            that is left out does not move.
        parameters: The parameters.
        question: For which flows a law of this family holds.
    """
    number = {symbol: i for i, symbol in enumerate(parameters)}
    read = (read_field({number[s]: rate for s, rate in f.items()}, parameters) for f in fields)
    return Family(question, tuple(parameters), tuple(field for field in read if field))


def all_data(network: Network, sizes: Mapping[str, int]) -> Family:
    r"""All flows of a network with polynomial output, over all data sets and losses.

    A 1-homogeneous activation is $\sigma(z) = P z$ with its pattern $P$, one value for each unit
    and sample. Patterns count as data: the laws are those of the paths through the network. For two
    layers with distinct hyperplanes these are all laws (Marcotte, Gribonval & Peyré 2023, theorem
    2.14); for deeper networks patterns that no input realizes may leave more.

    Args:
        network: The network.
        sizes: A number for each symbolic size, such as `{"h": 3, "D": 2}`.
    """
    return _written_out(network.output, network, sizes, ALL_DATA)


def leading_order(flow: LeadingFlow, sizes: Mapping[str, int]) -> Family:
    """All leading flows of a network over all targets, whatever the data: see `all_data`."""
    _require_gradient(flow)
    return _written_out(flow.potential, flow.network, sizes, LEADING_ORDER)


def given_flow(
    flow: LeadingFlow, sizes: Mapping[str, int], data: Mapping[str, Sequence[Any]]
) -> Family:
    r"""The leading flow of a network on given data.

    Args:
        flow: The leading flow, with a polynomial potential.
        sizes: A number for each symbolic size, the number of samples `n` among them.
        data: The entries of every tensor of data in the potential, such as `{"x": [[1, 2]], "c":
            [1]}`: nested lists of integers or fractions.
    """
    _require_gradient(flow)
    parameters = _parameters(flow.network, sizes)
    (potential,) = _entries(flow.potential, {}, sizes)
    values: dict[Symbol, Expr] = {}
    for base in {entry.base for entry in flow.potential.atoms(Indexed)} - {*flow.network.bases}:
        values |= _values(base, sizes, data)
    numeric = potential.xreplace(values)
    return one_flow({s: expand(numeric.diff(s)) for s in parameters})


def _require_gradient(flow: LeadingFlow) -> None:
    """Refuse a flow that is not the gradient of its potential in all parameters of it."""
    still = [e for e in flow.network.parameters if e not in flow.moving]
    if flow.is_projected or any(flow.potential.has(entry.base) for entry in still):
        raise ParameterError(
            f"the leading flow of {flow.network.name} is no gradient in all its parameters",
            expected="equal scales, and no constant that stays fitted",
            fix="use `closed_laws`, which follows the field itself",
        )


def _values(
    base: IndexedBase, sizes: Mapping[str, int], data: Mapping[str, Sequence[Any]]
) -> dict[Symbol, Expr]:
    name, shape = str(base), tuple(_number(extent, sizes) for extent in base.shape)
    array = np.array(data.get(name, ()), dtype=object)
    exact = all(isinstance(v, int | Fraction | Rational) for v in array.flat)
    if array.shape != shape or not exact:
        raise ParameterError(
            f"the data {name} are {data.get(name, 'missing')}",
            expected=f"integers or fractions of shape {shape}",
            fix="laws of one flow need exact numbers; round a float with Fraction",
        )
    indices = product(*(range(1, length + 1) for length in shape))
    return {_entry_symbol(base, i): Rational(v) for i, v in zip(indices, array.flat, strict=True)}


def _parameters(network: Network, sizes: Mapping[str, int]) -> list[Symbol]:
    return [
        symbol
        for entry in network.parameters
        for symbol in _entries(entry, free_axes(entry), sizes)
    ]


def _written_out(expr: Expr, network: Network, sizes: Mapping[str, int], question: str) -> Family:
    # The fields of several samples are combinations of those of a generic one.
    numbers = {**sizes, str(SAMPLES): 1}
    outputs = _entries(expr, free_axes(expr), numbers)
    return gradients(outputs, _parameters(network, numbers), question)


def _entries(expr: Expr, axes: Mapping[Symbol, Expr], sizes: Mapping[str, int]) -> list[Expr]:
    ranges = [range(1, _number(extent, sizes) + 1) for extent in axes.values()]
    return [
        _scalar(substitute(expr, dict(zip(axes, map(Integer, values), strict=True))), sizes)
        for values in product(*ranges)
    ]


def _scalar(expr: Expr, sizes: Mapping[str, int]) -> Expr:
    """Sums written out, entries as symbols, patterns of kinked activations as new symbols."""
    if isinstance(expr, Sum):
        axes = dict(axes_of(expr))
        return Add(*_entries(expr.function, axes, sizes))
    if isinstance(expr, Indexed):
        return _entry_symbol(expr.base, expr.indices)
    if isinstance(expr, Symbol) and str(expr) in sizes:
        return Integer(sizes[str(expr)])  # a size that is a factor, such as that of a mean
    if isinstance(expr, Ramp):
        argument = _scalar(expr.args[0], sizes)
        return Symbol(f"[{argument}]", real=True) * argument
    if not expr.args:
        return expr
    return rebuild(expr, (_scalar(arg, sizes) for arg in expr.args))


def _entry_symbol(base: IndexedBase, indices: Iterable[Any]) -> Symbol:
    return Symbol("_".join(map(str, (base, *indices))), real=True)


def _number(extent: Expr, sizes: Mapping[str, int]) -> int:
    value = extent.xreplace(
        {s: Integer(sizes[str(s)]) for s in extent.free_symbols if str(s) in sizes}
    )
    if not value.is_Integer or value < 1:
        raise ParameterError(
            f"the size {extent} is {value}",
            expected="a positive whole number for every symbolic size",
            fix=f"give it in `sizes`, for example {{{str(extent)!r}: 3}}",
        )
    return int(value)


def _coefficients(output: Expr, parameters: Sequence[Symbol]) -> list[Expr]:
    data = sorted(output.free_symbols - set(parameters), key=str)
    if not data:
        return [output]
    try:
        return Poly(output, *data).coeffs()
    except PolynomialError as error:
        raise NotPolynomialError(
            f"{output} is not a polynomial",
            expected="a polynomial in parameters and data",
            fix="use the leading flow at small initialization, or name phi_i itself",
        ) from error
