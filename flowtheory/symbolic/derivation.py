"""A derivation: named statements in order, printed as text, LaTeX or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sympy import srepr, sympify
from sympy.functions.special.hyper import TupleArg

from flowtheory.errors import unknown_name
from flowtheory.symbolic.activation import AnyActivation, Ramp, Step
from flowtheory.symbolic.carlson import CarlsonR, CarlsonRF
from flowtheory.symbolic.expression import Expr, ScalarBase, ScalarEntry
from flowtheory.symbolic.loss import AnyLoss
from flowtheory.symbolic.printing import Rate, tex, unicode_line

_HEADS: dict[str, Any] = {
    head.__name__: head
    for head in (
        *(Ramp, Step, AnyActivation, AnyLoss, Rate, ScalarBase, ScalarEntry),
        *(CarlsonR, CarlsonRF, TupleArg),
    )
}


@dataclass(frozen=True)
class Line:
    """One statement of a derivation.

    Attributes:
        name: What it is called.
        statement: An equation (or an expression) computed by the engine.
        note: How it follows, or what its symbols mean, in plain words.
    """

    name: str
    statement: Expr
    note: str = ""


@dataclass(frozen=True)
class Derivation:
    """An ordered derivation; iterate over it, or look a line up by its name."""

    title: str
    lines: tuple[Line, ...]

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> Expr:
        """The statement called `name`."""
        for line in self.lines:
            if line.name == name:
                return line.statement
        raise unknown_name("statement", name, (line.name for line in self.lines))

    def text(self) -> str:
        """Unicode text, one statement a line."""
        out = [self.title, "=" * len(self.title)]
        for number, line in enumerate(self.lines, 1):
            out += ["", f"{number}. {line.name}", f"     {unicode_line(line.statement)}"]
            out += [f"   {line.note}"] if line.note else []
        return "\n".join(out) + "\n"

    def latex(self) -> str:
        """A complete LaTeX document."""
        body = "\n\n".join(
            f"\\paragraph{{{_escape(line.name)}.}} {_escape(line.note)}\n"
            f"\\begin{{equation}}\n{tex(line.statement)}\n\\end{{equation}}"
            for line in self.lines
        )
        return _DOCUMENT.format(title=_escape(self.title), body=body)

    def json(self) -> str:
        """JSON: each statement as `srepr` (exact, see `from_json`), as LaTeX and as text."""
        lines = [
            {
                "name": line.name,
                "statement": srepr(line.statement),
                "latex": tex(line.statement),
                "text": unicode_line(line.statement),
                "note": line.note,
            }
            for line in self.lines
        ]
        return json.dumps({"title": self.title, "lines": lines}, indent=2, ensure_ascii=False)

    def _repr_latex_(self) -> str:
        rows = " \\\\\n".join(_aligned(line.statement) for line in self.lines)
        return f"$$\\begin{{aligned}}\n{rows}\n\\end{{aligned}}$$"


def from_json(text: str) -> Derivation:
    """The derivation that `Derivation.json` wrote.

    Statements are evaluated as Python: read only what you wrote yourself.
    """
    record = json.loads(text)
    lines = tuple(
        Line(row["name"], _parse(row["statement"]), row["note"]) for row in record["lines"]
    )
    return Derivation(record["title"], lines)


def _parse(text: str) -> Expr:
    read: Any = sympify
    return read(text, locals=_HEADS)


def _aligned(statement: Expr) -> str:
    if statement.is_Relational:
        return f"{tex(statement.lhs)} &= {tex(statement.rhs)}"
    return f"& {tex(statement)}"


def _escape(words: str) -> str:
    return re.sub(r"([&%#_{}])", r"\\\1", words)


_DOCUMENT = r"""\documentclass{{article}}
\usepackage{{amsmath}}
\allowdisplaybreaks
\title{{{title}}}
\date{{}}
\begin{{document}}
\maketitle

{body}

\end{{document}}
"""
