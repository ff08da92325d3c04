"""A derivation: named statements in order, printed as text, LaTeX or JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Eq, srepr, sympify
from sympy.functions.special.hyper import TupleArg

from flowtheory.errors import unknown_name
from flowtheory.symbolic.activation import AnyActivation, Ramp, Step
from flowtheory.symbolic.carlson import CarlsonR, CarlsonRF
from flowtheory.symbolic.expression import Expr, ScalarBase, ScalarEntry
from flowtheory.symbolic.loss import AnyLoss
from flowtheory.symbolic.printing import Rate, tex, tex_terms, unicode_line

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
        out = [self.title, "=" * min(len(self.title), 80)]
        for number, line in enumerate(self.lines, 1):
            out += ["", f"{number}. {line.name}", f"     {unicode_line(line.statement)}"]
            out += [f"   {line.note}"] if line.note else []
        return "\n".join(out) + "\n"

    def latex(self) -> str:
        """A complete LaTeX document: long sums are broken at their terms, long terms shrunk."""
        body = "\n\n".join(
            f"\\paragraph{{{_words(line.name)}.}} {_words(line.note)}\n"
            f"\\begin{{equation}}\n{_display(line.statement)}\n\\end{{equation}}"
            for line in self.lines
        )
        return _DOCUMENT.format(title=_words(self.title), body=body)

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


def _display(statement: Expr) -> str:
    """A statement that fits between the margins: one term a line where it is long."""
    text = tex(statement)
    terms = tex_terms(statement.rhs) if isinstance(statement, Eq) else []
    if len(text) < _LONG or len(terms) < 2:
        return rf"\fit{{{text}}}" if len(text) >= _LONG else text
    rows = " \\\\\n&\\quad ".join(terms)
    return f"\\fit{{\\begin{{aligned}}\n{tex(statement.lhs)} &= {rows}\n\\end{{aligned}}}}"


def _aligned(statement: Expr) -> str:
    if statement.is_Relational:
        return f"{tex(statement.lhs)} &= {tex(statement.rhs)}"
    return f"& {tex(statement)}"


_SYMBOLS = {
    "∇": r"\nabla ",
    "∞": r"\infty ",
    "√": r"\surd ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "≠": r"\ne ",
}
_BELOW, _ABOVE = "₀-₉ₐ-ₜᵢ-ᵪ", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
# A letter with its index (x_ip, T_*, h₁), what stands above or below the line, or a symbol.
_MATHS = re.compile(
    rf"(?<!\w)(?P<base>[^\W\d_{_BELOW}])(?:_(?P<name>\*|\w+)|(?P<under>[{_BELOW}]+))"
    rf"|(?P<power>[{_ABOVE}]+)|(?P<below>[{_BELOW}]+)|(?P<symbol>[α-ωΑ-Ω∇∞√≤≥≠])"
)


def _words(text: str) -> str:
    """Text of a note in LaTeX, which knows no Unicode: symbols and their indices become maths."""
    out, end = [], 0
    for found in _MATHS.finditer(text):
        out += [_escape(text[end : found.start()]), f"${_maths(found.groupdict(default=''))}$"]
        end = found.end()
    return "".join([*out, _escape(text[end:])])


def _maths(part: Mapping[str, str]) -> str:
    under = part["name"] or part["under"] or part["below"]
    names = ("".join(map(_symbol, _plain(text))) for text in (under, part["power"]))
    marks = zip("_^", names, strict=True)
    symbol = part["base"] or part["symbol"]
    return "".join([*map(_symbol, symbol), *(f"{m}{{{name}}}" for m, name in marks if name)])


def _plain(text: str) -> str:
    """Subscripts and superscripts as letters and digits on the line."""
    return unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-")


def _symbol(letter: str) -> str:
    r"""A letter or a sign in maths mode, such as \theta."""
    if letter.isascii() or letter in _SYMBOLS:
        return _SYMBOLS.get(letter, letter)
    name = unicodedata.name(letter).split()[-1]  # GREEK SMALL LETTER THETA
    name = {"LAMDA": "lambda"}.get(name, name.lower())
    return f"\\{name.capitalize() if letter.isupper() else name} "


def _escape(words: str) -> str:
    return re.sub(r"([&%#_{}])", r"\\\1", words)


_LONG = 200  # characters of LaTeX, of which a line of text holds more

_DOCUMENT = r"""\documentclass{{article}}
\usepackage[margin=25mm]{{geometry}}
\usepackage{{amsmath}}
\usepackage{{graphicx}}
\allowdisplaybreaks
% A formula, made smaller where it is wider than the text and its number leave room for.
\newcommand{{\fit}}[1]{{\setbox0\hbox{{$\displaystyle #1$}}%
  \ifdim\wd0>0.9\linewidth \resizebox{{0.9\linewidth}}{{!}}{{$\displaystyle #1$}}%
  \else #1\fi}}
\title{{{title}}}
\date{{}}
\begin{{document}}
\maketitle

{body}

\end{{document}}
"""
