r"""From index notation to JAX: every sum of products becomes one `einsum`.

Nothing is scalarised: the compiled function is array code whose size does not depend on the sizes
of the arrays, and these are read off the arguments at the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float
from sympy import Add, Mul, Number, NumberSymbol, Pow, Sum, Symbol

from flowtheory.errors import DataError
from flowtheory.lower.check import check
from flowtheory.lower.stable import stabilise
from flowtheory.lower.table import ELEMENTWISE, number, power
from flowtheory.precision import require_float64
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import axes_of, separate

Axes = tuple[Symbol, ...]
Value = tuple[Any, Axes]
"""An array (or a number) with the index symbol of each of its axes."""


def lower(
    expr: Expr, arguments: Sequence[IndexedBase | Symbol], outputs: Sequence[Symbol] = ()
) -> Callable[..., Float[Array, ...]]:
    r"""Compile an index-notation expression to a JAX function of arrays.

    Args:
        expr: Sums over whole axes, products, powers and the functions of `table.ELEMENTWISE`.
        arguments: The tensors (with shapes of symbolic sizes) and scalar symbols, in the order in
            which the function takes their values. Sizes themselves may occur in `expr`.
        outputs: The free indices of `expr`, in the order of the axes of the result.

    Returns:
        A function of float64 arrays. Differentiate, `vmap` and `jit` it inside
        `with flowtheory.float64():`; one compilation serves one set of shapes.

    Raises:
        ParameterError: An unknown head, a free index that is not an output, a tensor that is not an
            argument, an index that runs over two sizes. The message names the subexpression.
        DataError: At the call, for arrays whose shapes clash.

    Example:
        >>> import numpy as np
        >>> import flowtheory as ft
        >>> from flowtheory.symbolic import two_layer
        >>> net = two_layer("relu")
        >>> i = net.inputs.indices[0]
        >>> f = lower(net.output, (*net.bases, net.inputs.base), outputs=(i,))
        >>> with ft.float64():
        ...     print(f(np.eye(2), np.array([1.0, -1.0]), np.array([[3.0, 1.0], [-1.0, 2.0]])))
        [ 2. -2.]
    """
    check(expr, arguments, outputs)
    ready = separate(contract(stabilise(expr)), outputs)

    def function(*arrays: Any) -> Float[Array, ...]:
        return jnp.asarray(_align(_bind(arguments, arrays).visit(ready), tuple(outputs)))

    return function


def _bind(arguments: Sequence[IndexedBase | Symbol], arrays: Sequence[Any]) -> _Evaluation:
    """The values of the arguments, and the sizes read off their shapes."""
    if len(arrays) != len(arguments):
        raise DataError(
            f"{len(arrays)} arrays were given",
            expected=f"{len(arguments)}: {', '.join(map(str, arguments))}",
            fix="pass one array for each argument, in this order",
        )
    values: dict[Expr, Any] = {}
    sizes: dict[Expr, tuple[int, str]] = {}
    for argument, given in zip(arguments, arrays, strict=True):
        array = jnp.asarray(given)
        require_float64(array, str(argument))
        shape = argument.shape if isinstance(argument, IndexedBase) else ()
        if array.ndim != len(shape):
            raise DataError(
                f"{argument} has shape {array.shape}",
                expected=f"{len(shape)} axes: ({', '.join(map(str, shape))})",
                fix="reshape it",
            )
        for axis, (extent, length) in enumerate(zip(shape, array.shape, strict=True)):
            known, where = sizes.setdefault(extent, (length, f"axis {axis} of {argument}"))
            if known != length:
                raise DataError(
                    f"{extent} is {known} in {where} but {length} in axis {axis} of {argument}",
                    expected=f"one value of {extent}",
                    fix="check the shapes of the arrays",
                )
        values[argument] = array
    return _Evaluation(values, {extent: length for extent, (length, _) in sizes.items()})


@dataclass
class _Evaluation:
    """One evaluation: equal subexpressions are computed once."""

    values: dict[Expr, Any]
    sizes: dict[Expr, int]
    memo: dict[Expr, Value] = field(default_factory=dict)

    def visit(self, expr: Expr) -> Value:
        if expr not in self.memo:
            self.memo[expr] = self._compute(expr)
        return self.memo[expr]

    def _compute(self, expr: Expr) -> Value:
        if isinstance(expr, Number | NumberSymbol):
            return number(expr), ()
        if isinstance(expr, Symbol):
            return (self.values[expr] if expr in self.values else float(self.sizes[expr])), ()
        if isinstance(expr, Indexed):
            return _diagonal(self.values[expr.base], expr.indices)
        if isinstance(expr, Sum):
            return self._contract(expr)
        if isinstance(expr, Pow) and isinstance(expr.exp, Number):
            base, axes = self.visit(expr.base)
            return power(base, expr.exp), axes
        arrays, axes = self._broadcast([self.visit(arg) for arg in expr.args])
        if isinstance(expr, Add):
            return sum(arrays[1:], arrays[0]), axes
        if isinstance(expr, Mul | Pow):
            return _fold(jnp.multiply if isinstance(expr, Mul) else jnp.power, arrays), axes
        return ELEMENTWISE[type(expr)](*arrays), axes

    def _contract(self, expr: Sum) -> Value:
        """One einsum; `contract` has left only factors that depend on a summed index."""
        body: Expr = expr.function
        factors = [self.visit(factor) for factor in Mul.make_args(body)]
        present = _union([axes for _, axes in factors])
        summed = dict(axes_of(expr))
        kept = tuple(i for i in present if i not in summed)
        label = {i: k for k, i in enumerate(present)}
        operands = [part for array, axes in factors for part in (array, [label[i] for i in axes])]
        return jnp.einsum(*operands, [label[i] for i in kept]), kept

    def _broadcast(self, values: list[Value]) -> tuple[list[Any], Axes]:
        axes = _union([axes for _, axes in values])
        return [_align(value, axes) for value in values], axes


def _fold(operation: Callable[[Any, Any], Any], arrays: Sequence[Any]) -> Any:
    result = arrays[0]
    for array in arrays[1:]:
        result = operation(result, array)
    return result


def _union(groups: Sequence[Axes]) -> Axes:
    return tuple(dict.fromkeys(i for axes in groups for i in axes))


def _diagonal(array: Any, indices: Axes) -> Value:
    """An entry with a repeated index is a diagonal."""
    distinct = _union([indices])
    if len(distinct) == len(indices):
        return array, indices
    label = {i: k for k, i in enumerate(distinct)}
    return jnp.einsum(array, [label[i] for i in indices], [label[i] for i in distinct]), distinct


def _align(value: Value, axes: Axes) -> Any:
    """The array with the axes `axes`, those that it lacks with length 1; numbers as they are."""
    array, own = value
    if not own:
        return array
    array = jnp.transpose(array, [own.index(i) for i in axes if i in own])
    return jnp.expand_dims(array, [k for k, i in enumerate(axes) if i not in own])
