"""How long the next step is, from the estimated error of the last ones."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

_SMALLEST = 1e-4  # an error far below 1 says little about the next one


class Control(NamedTuple):
    r"""A PI controller; errors are in units of the tolerance.

    After a good step the step length is multiplied by $c\,e^{-\alpha/p}\,e_0^{\beta/p}$, $e_0$ the
    error of the step before; after a bad one by $c\,e^{-1/p}$.

    Attributes:
        order: $p$, the power of h that the error estimate falls with.
        safety: $c$.
        shrink: smallest factor.
        grow: largest factor.
        alpha: $\alpha$.
        beta: $\beta$; 0 to forget the step before.
    """

    order: int
    safety: float = 0.9
    shrink: float = 0.2
    grow: float = 10.0
    alpha: float = 1.0
    beta: float = 0.0

    def after(self, error: Float[Array, ""], last: Float[Array, ""]) -> Float[Array, ""]:
        """Factor after a good step."""
        factor = (
            self.safety * error ** (-self.alpha / self.order) * last ** (self.beta / self.order)
        )
        return jnp.clip(factor, self.shrink, self.grow)

    def again(self, error: Float[Array, ""]) -> Float[Array, ""]:
        """Factor after a bad step; an infinite error gives the smallest."""
        return jnp.clip(self.safety * error ** (-1 / self.order), self.shrink, self.safety)

    @staticmethod
    def remembered(error: Float[Array, ""]) -> Float[Array, ""]:
        """What `after` takes as the error of the step before."""
        return jnp.maximum(error, _SMALLEST)
