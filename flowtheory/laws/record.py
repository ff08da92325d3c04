"""What a law is: a record of statements, assumptions, experiments and negative controls.

A law is data. Its experiments are functions from `Settings` to `ExperimentResult`; its controls
hold the same evidence against a deliberately wrong claim and must come out DISAGREES.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import sympy as sp

from flowtheory.clock import Clock
from flowtheory.errors import ParameterError, unknown_name
from flowtheory.judge import Evidence, Finding, Fit, Verdict
from flowtheory.symbolic.printing import tex

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowtheory.data import LabelledData
    from flowtheory.laws.attack import Attack
    from flowtheory.laws.certificate import Certificate, Certified
from flowtheory.laws.claim import Claim


class Effort(Enum):
    """How much is run: seconds, under a minute, or many minutes on two cores."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"

    def pick(self, quick: Any, standard: Any, full: Any) -> Any:
        """The one of three values that belongs to this effort."""
        return {Effort.QUICK: quick, Effort.STANDARD: standard, Effort.FULL: full}[self]


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Settings:
    """How a law is verified. `data` is the real data set, or None for synthetic data only."""

    seed: int = 0
    effort: Effort = Effort.STANDARD
    data: LabelledData | None = None
    # Called with (what is being done, done, total).
    progress: Callable[[str, int, int], None] = silent

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ParameterError(
                f"seed is {self.seed!r}", expected="an integer >= 0", fix="--seed 0"
            )


@dataclass(frozen=True)
class SymbolInfo:
    """Meaning and unit of a symbol of a statement."""

    symbol: sp.Symbol
    meaning: str
    unit: str


@dataclass(frozen=True)
class Statement:
    """A formula and whose it is.

    `role` is "published" (by the source), "sharper" (than what is published), "derived" (here,
    without a published counterpart) or "conjecture" (of the source, and no part of the verdict);
    `expression` is evaluated; `at` are the values of symbols for which it is stated, where these
    do not stand in it but in units.
    """

    name: str
    role: str
    expression: sp.Basic
    source: str
    note: str = ""
    at: Mapping[sp.Symbol, int] = field(default_factory=dict)

    @property
    def latex(self) -> str:
        """The formula as LaTeX, printed from the expression that is evaluated."""
        return tex(self.expression)


@dataclass(frozen=True)
class Assumption:
    """An assumption and its check on data: (holds, the number behind it)."""

    name: str
    statement: str
    check: Callable[[LabelledData], tuple[bool, str]]


@dataclass(frozen=True)
class Curves:
    """Arrays that an experiment yields beside its rows, by name, for its figures."""

    arrays: Mapping[str, Any]


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment found: rows, fits, findings, and arrays for its figures."""

    rows: tuple[Evidence, ...] = ()
    fits: tuple[Fit, ...] = ()
    findings: tuple[Finding, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A named experiment; `run` is deterministic given the settings.

    It gives its result as a whole, or yields rows (and curves) one by one, which are kept when the
    time for the law runs out.
    """

    name: str
    title: str
    run: Callable[[Settings], ExperimentResult | Iterator[Evidence | Curves]]


@dataclass(frozen=True)
class Control:
    """A wrong claim, judged on the evidence of the experiments named in `uses`."""

    name: str
    wrong_claim: str
    uses: tuple[str, ...]
    judge: Callable[[Mapping[str, ExperimentResult]], Finding]


@dataclass(frozen=True)
class Law:
    """A published law with everything that is needed to derive, test and report it.

    What it claims of its evidence are `claims`, each with wrong alternatives that the same rows
    must reject; `controls` are wrong claims that need a statistic of their own.
    """

    name: str
    title: str
    statements: tuple[Statement, ...]
    symbols: tuple[SymbolInfo, ...]
    assumptions: tuple[Assumption, ...]
    clock: Clock
    experiments: tuple[Experiment, ...]
    controls: tuple[Control, ...]
    not_shown: tuple[str, ...]
    references: tuple[str, ...]
    docs: str
    claims: tuple[Claim, ...] = ()
    # What rows can be proved, in ball arithmetic.
    certificates: tuple[Certificate, ...] = ()
    # Searches for the worst case of each bound.
    attacks: tuple[Attack, ...] = ()
    # Names of the parameters that say what was tested; all, if empty.
    varied: tuple[str, ...] = ()
    derive: Callable[[], Any] | None = None
    # (the verification) -> name -> (figure, caption), the deciding figure first.
    figures: Callable[[Verification], Mapping[str, tuple[Figure, str]]] | None = None

    def attack(self, name: str) -> Attack:
        """The attack of that name.

        Raises:
            UnknownNameError: There is none; the message lists them.
        """
        known = {one.name: one for one in self.attacks}
        if name not in known:
            raise unknown_name("attack", name, known, more=self.docs)
        return known[name]


def findings_of(results: Mapping[str, ExperimentResult]) -> tuple[Finding, ...]:
    """The findings of all experiments."""
    return tuple(found for result in results.values() for found in result.findings)


@dataclass(frozen=True, repr=False)
class Verification:
    """The outcome of `verify`: the verdict with everything that led to it."""

    law: Law
    verdict: Verdict
    results: Mapping[str, ExperimentResult]
    controls: Mapping[str, Finding]
    settings: Settings
    seconds: float
    versions: Mapping[str, str]
    # Why the run ended before all evidence was there, if it did; the verdict then is not AGREES.
    stopped: str = ""
    # What the law's certificates gave, if they were asked for.
    certified: tuple[Certified, ...] = ()

    @property
    def rows(self) -> tuple[Evidence, ...]:
        """The evidence of all experiments."""
        return tuple(row for result in self.results.values() for row in result.rows)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all experiments, which make the verdict together with the controls."""
        return findings_of(self.results)

    def ranges(self) -> dict[str, list[float]]:
        """[least, largest] of each parameter over the measured rows, those that tell the range."""
        measured = [row for row in self.rows if math.isfinite(row.measured)]
        names = self.law.varied or dict.fromkeys(
            name for row in measured for name in row.parameters
        )
        found = {}
        for name in names:
            values = [row[name] for row in measured if math.isfinite(row[name])]
            if values:
                found[name] = [min(values), max(values)]
        return found

    def tested_range(self) -> str:
        """The range of the evidence in words, as in "n 2..64, mu 0.01..0.5, eps 0, 300 cases"."""
        parts = [
            f"{name} {low:.4g}..{high:.4g}" if low < high else f"{name} {low:.4g}"
            for name, (low, high) in self.ranges().items()
        ]
        cases = sum(math.isfinite(row.measured) for row in self.rows)
        return ", ".join([*parts, f"{cases} cases"])

    def figures(self) -> Mapping[str, tuple[Figure, str]]:
        """Name -> (figure, caption), the deciding figure first: the law's own, or one a claim."""
        if self.law.figures is not None:
            return self.law.figures(self)
        from flowtheory.laws.figures import claim_figures

        return claim_figures(self.law.claims, self.rows)

    def __repr__(self) -> str:
        rejected = sum(found.verdict is Verdict.DISAGREES for found in self.controls.values())
        return (
            f"<{self.law.name}: {self.verdict.value} over {self.tested_range()}; "
            f"{rejected} of {len(self.controls)} controls rejected; {self.seconds:.0f} s>"
        )
