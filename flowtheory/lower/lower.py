r"""From index notation to JAX: every sum of products becomes one contraction.

Nothing is scalarised: the compiled function is array code whose size does not depend on the sizes
of the arrays, and these are read off the arguments at the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float
from sympy import Symbol

from flowtheory.errors import DataError
from flowtheory.lower.check import check
from flowtheory.lower.contraction import align
from flowtheory.lower.operation import Operation
from flowtheory.lower.perform import run
from flowtheory.lower.program import Program, Value
from flowtheory.lower.stable import stabilise
from flowtheory.precision import require_float64
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expression import Expr, IndexedBase


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
    function = lower_all([(expr, outputs)], arguments)

    def first(*arrays: Any) -> Float[Array, ...]:
        return function(*arrays)[0]

    return first


def lower_all(
    results: Sequence[tuple[Expr, Sequence[Symbol]]], arguments: Sequence[IndexedBase | Symbol]
) -> Callable[..., tuple[Float[Array, ...], ...]]:
    """As `lower`, for several (expression, outputs) at once: what they share is computed once."""
    for expr, outputs in results:
        check(expr, arguments, outputs)
    ready = [(contract(stabilise(expr)), tuple(outputs)) for expr, outputs in results]

    @cache
    def plan(order: tuple[Expr, ...]) -> tuple[Mapping[int, Operation], list[Value]]:
        program = Program({extent: k for k, extent in enumerate(order)})
        found = [program.add(expr) for expr, _ in ready]
        return program.steps([number for number, _ in found]), found

    def function(*given: Any) -> tuple[Float[Array, ...], ...]:
        values, sizes = _bind(arguments, given)
        # The longest axis last: matrix products and elementwise loops then run along it.
        steps, found = plan(tuple(sorted(sizes, key=lambda extent: sizes[extent])))
        arrays = run(steps, values, sizes)
        return tuple(
            jnp.asarray(_ordered(arrays[number], axes, outputs))
            for (number, axes), (_, outputs) in zip(found, ready, strict=True)
        )

    return function


def _ordered(array: Any, axes: Sequence[Symbol], outputs: Sequence[Symbol]) -> Any:
    label = {i: k for k, i in enumerate(outputs)}
    return align((array, tuple(label[i] for i in axes)), tuple(label.values()))


def _bind(
    arguments: Sequence[IndexedBase | Symbol], arrays: Sequence[Any]
) -> tuple[dict[Expr, Any], dict[Expr, int]]:
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
    return values, {extent: length for extent, (length, _) in sizes.items()}
