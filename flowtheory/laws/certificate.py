r"""Certificates: rows of evidence turned into theorems about their instances, in ball arithmetic.

Where a quantity has a closed form, or is propagated through closed forms, `flowtheory.lower`
encloses it in a ball that is a proof. A row is *certified* if the quantity is enclosed, the claim
holds in the whole ball, and the measured value with its error meets it. A row whose measurement
does not meet its ball is *refuted*: an error of ours, or an error bar that is too small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sympy as sp

from flowtheory.errors import FlowtheoryError
from flowtheory.judge import Evidence
from flowtheory.laws.claim import Claim
from flowtheory.lower import Enclosure, enclose


class Proof(NamedTuple):
    """What is proved of one instance.

    Attributes:
        enclosure: of the quantity that its row measures.
        holds: whether the claim holds in the whole ball.
    """

    enclosure: Enclosure
    holds: bool


@dataclass(frozen=True)
class Certificate:
    """How rows are proved.

    Attributes:
        claim: what is proved of them.
        prove: the proof of a row; None for a row that it is not about.
    """

    claim: str
    prove: Callable[[Evidence], Proof | None]


@dataclass(frozen=True)
class Certified:
    """What a certificate gave.

    Attributes:
        claim: what is proved.
        rows: that it is about.
        certified: of them.
        refuted: rows whose measurement does not meet the ball.
        unproved: rows without an enclosure, or in whose ball the claim does not hold throughout.
        radius: the largest relative radius of a ball.
        detail: the first reason of a row that is not certified.
    """

    claim: str
    rows: int
    certified: int
    refuted: int
    unproved: int
    radius: float
    detail: str


def certify(certificate: Certificate, rows: Iterable[Evidence]) -> Certified:
    """Try to prove every row."""
    tried = certified = refuted = 0
    radius, detail = 0.0, ""
    for row in rows:
        try:
            proof = certificate.prove(row)
        except FlowtheoryError as error:
            tried, detail = tried + 1, detail or str(error).splitlines()[0]
            continue
        if proof is None:
            continue
        tried += 1
        ball = proof.enclosure
        radius = max(radius, ball.radius / abs(ball.midpoint) if ball.midpoint else 0.0)
        if not ball.contains(row.measured, row.error):
            refuted += 1
            detail = detail or f"measured {row.measured!r} +- {row.error:.1e}, but {ball.text}"
        elif proof.holds:
            certified += 1
        else:
            detail = detail or f"{row.family}: the claim does not hold throughout {ball.text}"
    unproved = tried - certified - refuted
    return Certified(certificate.claim, tried, certified, refuted, unproved, radius, detail)


def closed_form(claim: Claim) -> Certificate:
    """Of a claim whose prediction is a theorem for its rows: the ball of the prediction.

    The parameters of a row are floats, and are taken as the rationals that they are.
    """
    symbols = claim.prediction.free_symbols

    def prove(row: Evidence) -> Proof | None:
        if not claim.covers(row):
            return None
        values: dict[Any, Any] = {symbol: sp.Rational(row[str(symbol)]) for symbol in symbols}
        return Proof(enclose(claim.prediction, values), True)

    return Certificate(claim.name, prove)


def certify_all(
    certificates: Sequence[Certificate], rows: Sequence[Evidence]
) -> tuple[Certified, ...]:
    """What each certificate gives on the rows of a verification."""
    return tuple(certify(one, rows) for one in certificates)
