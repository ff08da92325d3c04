"""The array operations of a program, in JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
from sympy import Pow

from flowtheory.lower.contraction import Labelled, align, contract_arrays
from flowtheory.lower.operation import Labels, Operation
from flowtheory.lower.piecewise import piecewise
from flowtheory.lower.table import ELEMENTWISE, power
from flowtheory.symbolic.expression import Expr


def run(
    steps: Mapping[int, Operation], values: Mapping[Expr, Any], sizes: Mapping[Expr, int]
) -> dict[int, Any]:
    """The results of all steps by number, for these arguments."""
    results: dict[int, Any] = {}
    for k, step in steps.items():
        operands = [(results[number], labels) for number, labels in step.operands]
        results[k] = perform(step, operands, values, sizes)
    return results


def perform(
    step: Operation,
    operands: list[Labelled],
    values: Mapping[Expr, Any],
    sizes: Mapping[Expr, int],
) -> Any:
    """The result of `step`, given those of its operands with their labels."""
    detail = step.detail
    match step.kind:
        case "number":
            return detail
        case "symbol":
            return values[detail] if detail in values else float(sizes[detail])
        case "argument":
            return values[detail]
        case "diagonal":
            ((array, labels),) = operands
            return jnp.einsum(array, list(labels), list(step.labels))
        case "contract":
            return _contract(operands, step.labels, detail)
        case "negate":
            return -operands[0][0]
        case "multiply":
            return _fold(jnp.multiply, operands)[0]
        case "add":
            total = _fold(jnp.add, operands[:detail])
            return _fold(jnp.subtract, [total, *operands[detail:]])[0]
        case "power":
            return power(operands[0][0], detail)
        case "piecewise":
            aligned = [align(operand, step.labels) for operand in operands]
            return piecewise(detail, len(aligned))(*aligned)
    head = jnp.power if detail is Pow else ELEMENTWISE[detail]
    return head(*(align(operand, step.labels) for operand in operands))


def _contract(operands: list[Labelled], out: Labels, sign: int) -> Any:
    """A contraction times `sign` and the numbers among its operands, on the smallest array."""
    arrays = [operand for operand in operands if operand[1]]
    factors = [operand for operand in operands if not operand[1]]
    if sign < 0:
        factors.append((-1.0, ()))
    if not factors:
        return contract_arrays(arrays, out)
    factor, _ = _fold(jnp.multiply, factors)
    smallest = min(range(len(arrays)), key=lambda k: arrays[k][0].size)
    length = {i: size for array, own in arrays for i, size in zip(own, array.shape, strict=True)}
    if math.prod(length[i] for i in out) <= arrays[smallest][0].size:
        return factor * contract_arrays(arrays, out)
    array, labels = arrays[smallest]
    arrays[smallest] = factor * array, labels
    return contract_arrays(arrays, out)


def _fold(operation: Callable[[Any, Any], Any], operands: Sequence[Labelled]) -> Labelled:
    """`operation` from the left over broadcast arrays."""

    def step(a: Labelled, b: Labelled) -> Labelled:
        labels = tuple(sorted({*a[1], *b[1]}))
        return operation(align(a, labels), align(b, labels)), labels

    return reduce(step, operands)
