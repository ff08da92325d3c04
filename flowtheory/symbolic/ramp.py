r"""Kinked functions with a stated derivative at the kink.

SymPy's own `Max` differentiates to `Heaviside` (value 1/2 at 0) and then to `DiracDelta`; neither
is what a gradient flow of a ReLU network uses. Ours are

$$\mathrm{ramp}_a(z) = z\,[z > 0] + a z\,[z \le 0], \qquad
  \mathrm{ramp}_a'(z) = \mathrm{step}_a(z) = [z > 0] + a\,[z < 0] + k\,[z = 0],$$

with slope $a$ on the left ($a = 0$: ReLU) and the stated value $k$ at the kink (default 0). The
derivative of the step is 0, which holds away from the kink, where alone it is used.
"""

from __future__ import annotations

from typing import Any

from sympy import S
from sympy.core.function import ArgumentIndexError

from flowtheory.symbolic.expression import Expr, Head


class Ramp(Head):
    r"""`Ramp(z, a, k)`: $z$ for $z > 0$, $a z$ for $z \le 0$; derivative $k$ stated at $z = 0$."""

    nargs = 3
    homogeneous_degree = 1

    @classmethod
    def eval(cls, z: Expr, a: Expr, k: Expr) -> Expr | None:
        """Numbers are evaluated."""
        if z.is_number and z.is_positive is not None:
            return z if z.is_positive else a * z
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        r"""The step; with respect to the slope $a$, $\min(z, 0)$."""
        z, _, k = self.args
        if argindex == 1:
            return Step(*self.args)
        if argindex == 2:
            return z - Ramp(z, 0, k)
        if argindex == 3:
            return S.Zero
        raise ArgumentIndexError(self, argindex)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        z, a, _ = self.args
        name = r"\sigma" if a == 0 else rf"\sigma_{{{printer.doprint(a)}}}"
        return _powered(rf"{name}\left({printer.doprint(z)}\right)", exp)


class Step(Head):
    r"""`Step(z, a, k)`: 1 for $z > 0$, $a$ for $z < 0$, $k$ at $z = 0$; its derivative is 0."""

    nargs = 3
    homogeneous_degree = 0

    @classmethod
    def eval(cls, z: Expr, a: Expr, k: Expr) -> Expr | None:
        """Numbers are evaluated."""
        if z.is_number and None not in (z.is_positive, z.is_zero):
            return S.One if z.is_positive else k if z.is_zero else a
        return None

    def _eval_power(self, exponent: Expr) -> Expr | None:
        """Its values are powered one by one, so that the step of a ReLU is idempotent."""
        if exponent.is_Integer and exponent > 0:
            z, a, k = self.args
            return Step(z, a**exponent, k**exponent)
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """0 with respect to $z$, away from the kink."""
        if argindex == 1:
            return S.Zero
        raise ArgumentIndexError(self, argindex)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        z, a, k = self.args
        argument = printer.doprint(z)
        if a == 0 and k == 0:
            return _powered(rf"\mathbf{{1}}\left[{argument} > 0\right]", exp)
        name = r"\sigma'" if a == 0 else rf"\sigma'_{{{printer.doprint(a)}}}"
        return _powered(rf"{name}\left({argument}\right)", exp)


def _powered(text: str, exp: str | None) -> str:
    return text if exp is None else rf"{text}^{{{exp}}}"
