r"""Case distinctions whose derivatives are safe.

`where(z > 0, sqrt(z), 0)` has the derivative nan at $z \le 0$ in automatic differentiation, because
the branch that is not taken is differentiated too. Here the derivative of a case distinction is the
case distinction of the symbolic derivatives: a number that is chosen, not a product with nan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from sympy import Dummy, Piecewise, Sum, Symbol, lambdify, preorder_traversal, true

from flowtheory.lower.table import ramp, step
from flowtheory.symbolic.expression import Expr, Indexed

_MODULES = [{"Ramp": ramp, "Step": step}, "jax"]


def slots_of(expr: Piecewise) -> list[Expr]:
    """The outermost entries, sums and symbols in `expr`, on which it acts elementwise."""
    found: dict[Expr, None] = {}
    walk = preorder_traversal(expr)
    for node in walk:
        if isinstance(node, Indexed | Symbol | Sum):
            found[node] = None
            walk.skip()
    return list(found)


@cache
def arguments(count: int) -> tuple[Symbol, ...]:
    """The symbols that stand for the slots of a template."""
    return tuple(Dummy(f"slot_{k}", real=True) for k in range(count))


@cache
def piecewise(template: Expr, count: int) -> Callable[..., Any]:
    """`template` as a function of arrays for its `arguments`; differentiable at any order."""
    own = arguments(count)
    pairs: Any = template.args if isinstance(template, Piecewise) else ((template, true),)
    branches = [
        (lambdify(own, value, _MODULES), lambdify(own, condition, _MODULES))
        for value, condition in pairs
    ]

    @jax.custom_jvp
    def function(*arrays: Any) -> Any:
        chosen: Any = jnp.nan  # where no case holds
        for value, condition in reversed(branches):
            chosen = jnp.where(condition(*arrays), value(*arrays), chosen)
        return chosen * jnp.ones(jnp.broadcast_shapes(*(jnp.shape(a) for a in arrays)))

    @function.defjvp
    def _(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        rates = [piecewise(template.diff(symbol), count) for symbol in own]
        terms = (rate(*primals) * t for rate, t in zip(rates, tangents, strict=True))
        return function(*primals), sum(terms)

    return function
