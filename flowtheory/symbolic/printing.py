# ruff: noqa: N802  (SymPy fixes the names of printing methods)
r"""Printing of index notation: one line of Unicode, and LaTeX.

SymPy's own two-dimensional printer spreads a nested sum over eight lines. Papers write
$\dot W_{jp} = v_j \sum_i c_i \dots$: scalars first, sums last, powers of the scale ascending. Both
printers share this order.
"""

from __future__ import annotations

from typing import Any

from sympy import Add, Float, Function, Integer, Pow, Rational, S, Sum, Symbol, expand_mul
from sympy.core.function import ArgumentIndexError
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pretty.pretty_symbology import pretty_symbol, pretty_use_unicode
from sympy.printing.str import StrPrinter

from flowtheory.symbolic.expand import BIG_O, SCALE
from flowtheory.symbolic.expression import Expr, Head, Indexed

_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_RELATIONS = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}


class Rate(Head):
    r"""`Rate(q)` stands for $dq/dt$ along a flow; it is a name, and never evaluated."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Expr:
        """A rate has no partial derivatives."""
        raise ArgumentIndexError(self, argindex)


def unicode_line(expr: Expr) -> str:
    """`expr` on one line: indices as subscripts, products by juxtaposition."""
    # SymPy decides from the terminal, at import, whether it names Greek letters or prints them.
    before = pretty_use_unicode(True)
    try:
        return _OneLine().doprint(expr)
    finally:
        pretty_use_unicode(before)


def tex(expr: Expr) -> str:
    """`expr` in LaTeX, without delimiters."""
    return _Tex({"inv_trig_style": "full", "ln_notation": True}).doprint(expr)


def tex_terms(expr: Expr) -> list[str]:
    """The terms of `expr` in LaTeX, each with its sign; a factor is taken into a sum of terms."""
    printer = _Tex({"inv_trig_style": "full", "ln_notation": True})
    whole = Add(*(expand_mul(term, deep=False) for term in Add.make_args(expr)))
    terms = printer._as_ordered_terms(whole) if isinstance(whole, Add) else [whole]
    first, *others = map(printer.doprint, terms)
    return [first, *(text if text.startswith("-") else f"+ {text}" for text in others)]


class _PaperOrder:
    """The order of factors and terms, shared by the printers; the mixin goes first."""

    _minus = "-"

    def _as_ordered_terms(self, expr: Add, order: str | None = None) -> list[Expr]:
        def key(term: Expr) -> tuple[bool, Expr, bool]:
            power = term.as_coeff_exponent(SCALE)[1]
            # Symbolic powers have no order.
            return term.has(BIG_O), power if power.is_number else S.Zero, _negative(term)

        return sorted(expr.as_ordered_terms(), key=key)

    def _print_Mul(self, expr: Expr) -> str:
        above, below = _fraction(-expr if _negative(expr) else expr)
        sign = self._minus if _negative(expr) else ""
        if below and any(isinstance(factor, Sum) for factor in above):
            # A sum reaches to the end of its line: a denominator after it would be part of it.
            sums = [factor for factor in above if isinstance(factor, Sum)]
            rest = [factor for factor in above if not isinstance(factor, Sum)]
            return f"{sign}{self._quotient(rest, below)} {self._juxtapose(sums)}"
        return sign + (self._quotient(above, below) if below else self._juxtapose(above))

    def _juxtapose(self, factors: list[Expr]) -> str:
        ordered = sorted(factors, key=_rank)
        return " ".join(self._factor(f, last=f is ordered[-1]) for f in ordered)

    def _factor(self, factor: Expr, *, last: bool) -> str:
        text: str = self._print(factor)  # type: ignore[attr-defined]
        is_open = isinstance(factor, Add) or (isinstance(factor, Sum) and not last)
        return self._brackets(text) if is_open else text

    def _quotient(self, above: list[Expr], below: list[Expr]) -> str:
        raise NotImplementedError

    def _brackets(self, text: str) -> str:
        raise NotImplementedError


class _Tex(_PaperOrder, LatexPrinter):
    """LaTeX in the order of a paper."""

    _minus = "- "

    def _quotient(self, above: list[Expr], below: list[Expr]) -> str:
        top, bottom = (
            self._print(part[0]) if len(part) == 1 else self._juxtapose(part)
            for part in (above or [S.One], below)
        )
        return rf"\frac{{{top}}}{{{bottom}}}"

    def _brackets(self, text: str) -> str:
        return rf"\left({text}\right)"

    def _print_Symbol(self, expr: Symbol, style: str = "plain") -> str:
        r"""A prime follows the letter: kappa'_1 is $\kappa'_1$, in braces to bear an exponent."""
        if expr.name == "eps":  # the name under which evidence keeps the scale
            return super()._print_Symbol(Symbol("epsilon"), style)
        letter, prime, rest = expr.name.partition("'")
        if not prime or not letter:
            return super()._print_Symbol(expr, style)
        text = super()._print_Symbol(Symbol(letter), style) + prime
        return f"{{{text}_{{{rest[1:]}}}}}" if rest.startswith("_") else text + rest

    def _print_hyper(self, expr: Any, exp: str | None = None) -> str:
        # In one line, and apart from a factor before it, whose index would join the first number.
        above, below = (", ".join(map(self._print, part)) for part in (expr.ap, expr.bq))
        head = rf"\,{{}}_{{{len(expr.ap)}}}F_{{{len(expr.bq)}}}"
        raised = "" if exp is None else f"^{{{exp}}}"
        return rf"{head}{raised}\left({above}; {below}; {self._print(expr.argument)}\right)"

    def _print_Rate(self, expr: Rate, exp: str | None = None) -> str:
        (q,) = expr.args
        if isinstance(q, Indexed):
            indices = ",".join(map(self._print, q.indices))
            if not indices:
                return rf"\dot{{{self._print(q.base.label)}}}"
            return rf"\dot{{{self._print(q.base.label)}}}_{{{indices}}}"
        if isinstance(q, Symbol):
            return rf"\dot{{{self._print(q)}}}"
        text = self._print(q)
        return rf"\frac{{d}}{{dt}} {self._brackets(text) if isinstance(q, Add) else text}"


class _OneLine(_PaperOrder, StrPrinter):
    """One line of Unicode in the order of a paper."""

    # Heads such as Indexed print themselves for StrPrinter under its own method name.
    printmethod = "_unicode_line"

    def _quotient(self, above: list[Expr], below: list[Expr]) -> str:
        top = self._juxtapose(above) if above else "1"
        bottom = self._juxtapose(below)
        return f"{top}/{bottom if len(below) == 1 else self._brackets(bottom)}"

    def _brackets(self, text: str) -> str:
        return f"({text})"

    def _print_Symbol(self, expr: Symbol) -> str:
        if expr.name == "eps":
            return str(pretty_symbol("epsilon"))
        letter, prime, rest = expr.name.partition("'")
        bare, whole = str(pretty_symbol(letter)), str(pretty_symbol(letter + rest))
        return bare + prime + whole[len(bare) :]

    def _print_Function(self, expr: Any) -> str:
        name = pretty_symbol(expr.func.__name__)
        return f"{name}({', '.join(map(self._print, expr.args))})"

    def _print_Indexed(self, expr: Indexed) -> str:
        if not expr.indices:
            return self._print(expr.base.label)
        indices = [self._print(i) for i in expr.indices]
        joined = "".join(indices) if all(len(i) == 1 for i in indices) else ",".join(indices)
        name = self._print(expr.base.label)
        return f"{name}_{joined}" if joined else name

    def _print_Sum(self, expr: Sum) -> str:
        over = "".join(self._print(limit[0]) for limit in reversed(expr.limits))
        return f"Σ_{over} {self.parenthesize(expr.function, PRECEDENCE['Mul'], strict=True)}"

    def _print_Pow(self, expr: Pow, rational: bool = False) -> str:
        base, exponent = expr.as_base_exp()
        if exponent == S.Half:
            inner = self._print(base)
            return f"√{inner if base.is_Symbol else self._brackets(inner)}"
        if _negative(exponent):
            return self._quotient([], [Pow(base, -exponent)])
        bare = isinstance(base, Indexed) or base.is_Symbol or base.is_Function
        inner = self._print(base) if bare else self._brackets(self._print(base))
        if isinstance(exponent, Integer):
            return inner + str(exponent).translate(_SUPERSCRIPT)
        above = self._print(exponent)
        return f"{inner}^{above if exponent.is_Symbol else self._brackets(above)}"

    def _print_Abs(self, expr: Any) -> str:
        return f"|{self._print(expr.args[0])}|"

    def _print_Relational(self, expr: Any) -> str:
        sign = _RELATIONS.get(expr.rel_op, expr.rel_op)
        return f"{self._print(expr.lhs)} {sign} {self._print(expr.rhs)}"

    def _print_Pi(self, expr: Any) -> Any:
        return "π"

    def _print_hyper(self, expr: Any) -> str:
        above, below = (", ".join(map(self._print, part)) for part in expr.args[:2])
        p, q = (str(len(part)).translate(_SUBSCRIPT) for part in expr.args[:2])
        return f"{p}F{q}({above}; {below}; {self._print(expr.args[2])})"

    def _print_log(self, expr: Any) -> str:
        return f"ln({self._print(expr.args[0])})"

    def _print_acosh(self, expr: Any) -> str:
        return f"arcosh({self._print(expr.args[0])})"

    def _print_asinh(self, expr: Any) -> str:
        return f"arsinh({self._print(expr.args[0])})"

    def _print_atanh(self, expr: Any) -> str:
        return f"artanh({self._print(expr.args[0])})"

    def _print_Min(self, expr: Any) -> str:
        return f"min({', '.join(map(self._print, sorted(expr.args, key=str)))})"

    def _print_Float(self, expr: Any) -> str:
        return f"{float(expr):g}"

    def _print_Ramp(self, expr: Any, prime: str = "") -> str:
        z, a, _ = expr.args
        name = "σ" if a == 0 else f"σ[{self._print(a)}]"
        return f"{name}{prime}({self._print(z)})"

    def _print_Step(self, expr: Any) -> str:
        z, a, k = expr.args
        return f"1[{self._print(z)} > 0]" if a == k == 0 else self._print_Ramp(expr, "'")

    def _print_AnyActivation(self, expr: Any) -> str:
        z, m = expr.args
        return "σ" + "'" * int(m) + f"({self._print(z)})"

    def _print_AnyLoss(self, expr: Any) -> str:
        y, f, m = expr.args
        return "ℓ" + "'" * int(m) + f"({self._print(y)}, {self._print(f)})"

    def _print_Rate(self, expr: Rate) -> str:
        (q,) = expr.args
        text = self._print(q)
        return f"d/dt {self._brackets(text) if isinstance(q, Add) else text}"


def _negative(expr: Expr) -> bool:
    return not isinstance(expr, Add) and expr.could_extract_minus_sign()


def _rank(factor: Expr) -> int:
    """Numbers and entries first, then functions, then what needs brackets, sums last."""
    kinds = (Function, Add, Sum)
    return next((k for k, kind in enumerate(kinds, 1) if isinstance(factor, kind)), 0)


def _fraction(expr: Expr) -> tuple[list[Expr], list[Expr]]:
    """The factors above and below the fraction bar."""
    above: list[Expr] = []
    below: list[Expr] = []
    for factor in expr.as_ordered_factors():
        if isinstance(factor, Float):
            above.append(factor)
        elif isinstance(factor, Rational):
            above += [Integer(factor.p)] if factor.p != 1 else []
            below += [Integer(factor.q)] if factor.q != 1 else []
        elif isinstance(factor, Pow) and _negative(factor.exp):
            below.append(Pow(factor.base, -factor.exp))
        else:
            above.append(factor)
    return above, below
