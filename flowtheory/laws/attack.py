r"""Attacks: a search for the case that is worst for a bound.

A bound that random cases never violate has not been tested. An attack describes cases by a few
numbers within a box (data, start, parameters, all within the assumptions); an evolution strategy
(SciPy's differential evolution) looks among them for the one that comes nearest to the bound, or
passes it. The best one of long searches is stored with the package and is where every search
starts, so that a quick run is as strong as the longest one so far.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.judge import Evidence, LowerBound, UpperBound
from flowtheory.laws.claim import Claim, symbols_of
from flowtheory.lower import numeric

Numbers = Sequence[float] | Float[np.ndarray, " numbers"]

STORED = Path(__file__).parent / "attacks"
"""One JSON file a law: name of the attack -> the numbers of its best case, and its ratio."""

EXPERIMENT = "attack"
_FIFTH = sp.Rational(1, 5)
_OUTSIDE = 1e3  # of a case that the assumptions exclude, where a logarithm of a ratio stands
_MEMBERS = 24  # of a population, at least; two for each number if that is more


@dataclass(frozen=True)
class Attack:
    """A search for the worst case of a bound.

    Attributes:
        name: of the bound; the family of its rows.
        law: whose stored case it starts from; the law's name.
        bound: the claimed value, in the parameters of the rows.
        upper: whether the bound is one from above.
        box: the ends between which each number of a case lies.
        case: the measured row of a case; None outside of the assumptions.
        generations: of the search at each effort.
        attained: whether some family attains the bound, so that a bound tightened by a fifth must
            be refuted.
        known: a case of the attaining family, tried beside the stored one where there is one.
        detail: what else is to be said.
    """

    name: str
    law: str
    bound: sp.Expr
    upper: bool
    box: tuple[tuple[float, float], ...]
    case: Callable[[Float[np.ndarray, " numbers"]], Evidence | None]
    generations: tuple[int, int, int]
    attained: bool = True
    known: tuple[float, ...] = ()
    detail: str = ""

    @cached_property
    def stored(self) -> tuple[float, ...]:
        """The numbers of the best case so far; none if nothing is stored."""
        return tuple(stored_cases(self.law).get(self.name, {}).get("case", ()))

    def row(self, numbers: Numbers) -> Evidence:
        """The evidence of one case: measured again, and held against the bound.

        Raises:
            ParameterError: Not as many numbers as the box has sides, outside of it, or a case that
                the assumptions exclude.
        """
        found = self._tried(np.asarray(numbers, dtype=np.float64))
        if found is None:
            raise ParameterError(
                f"{list(numbers)} is no case of the attack {self.name!r}",
                expected=f"{len(self.box)} numbers within its box that obey the assumptions",
                fix="take the numbers of a row of its evidence (`case`)",
            )
        return found

    def nearness(self, row: Evidence) -> float:
        """Logarithm of the ratio of measured to predicted, or of its inverse for a lower bound.

        It is 0 where the bound is attained, positive beyond. A row that was cut off counts as its
        cut: the quantity is larger.
        """
        value = row.measured if math.isfinite(row.measured) else row.cut
        if not (value > 0 and row.predicted > 0):
            return -_OUTSIDE
        return (1 if self.upper else -1) * math.log(value / row.predicted)

    def search(self, generations: int, rng: np.random.Generator) -> list[Evidence]:
        """The cases that came nearer to the bound than all before, the known and stored ones first.

        Args:
            generations: of the evolution; with 0 only those two are tried.
            rng: what is random.
        """
        from scipy.optimize import differential_evolution

        given = [self.row(case) for case in dict.fromkeys((self.known, self.stored)) if case]
        nearest = sorted(given, key=self.nearness)

        def missed(numbers: Float[np.ndarray, " numbers"]) -> float:
            row = self._tried(numbers)
            if row is None:
                return _OUTSIDE
            if not nearest or self.nearness(row) > self.nearness(nearest[-1]):
                nearest.append(row)
            return -self.nearness(row)

        if generations:
            differential_evolution(
                missed,
                self.box,
                maxiter=generations,
                popsize=max(2, math.ceil(_MEMBERS / len(self.box))),
                x0=nearest[-1].case if nearest else None,
                tol=0,
                polish=False,
                rng=rng,
            )
        return nearest

    def _tried(self, numbers: Float[np.ndarray, " numbers"]) -> Evidence | None:
        low, high = np.array(self.box).T
        if numbers.shape != low.shape or np.any((numbers < low) | (numbers > high)):
            return None
        row = self.case(numbers)
        if row is None:
            return None
        exact = tuple(float(number) for number in numbers)
        own = {"experiment": EXPERIMENT, "family": self.name, "case": exact}
        return replace(row, predicted=self._predicted(row), **own)

    @cached_property
    def _predicted(self) -> Callable[[Evidence], float]:
        """The bound of a row."""
        symbols = symbols_of(self.bound)
        value = numeric(self.bound, symbols)
        return lambda row: float(value(*(row[str(symbol)] for symbol in symbols)))

    def claim(self) -> Claim:
        """The bound, held against the rows of the attack; tightened by a fifth where attained."""
        tightened = self.bound * (1 - _FIFTH if self.upper else 1 + _FIFTH)
        return Claim(
            name=f"{self.name} under attack",
            experiment=EXPERIMENT,
            kind=UpperBound() if self.upper else LowerBound(),
            prediction=self.bound,
            alternatives={"tightened by a fifth": tightened} if self.attained else {},
            families=(self.name,),
            detail=self.detail,
        )


def worst(attack: Attack, rows: Iterable[Evidence]) -> Evidence | None:
    """The row of an attack that comes nearest to its bound, or passes it."""
    own = [row for row in rows if (row.experiment, row.family) == (EXPERIMENT, attack.name)]
    return max(own, key=attack.nearness, default=None)


def stored_cases(law: str) -> dict[str, dict]:
    """What is stored of the attacks of a law, by name; empty for a law without."""
    path = STORED / f"{law}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
