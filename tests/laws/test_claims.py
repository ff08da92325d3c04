"""Claims and their wrong alternatives; what stops a law, and what is refused before it runs."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from flowtheory.clock import REFERENCE
from flowtheory.errors import LawError, ParameterError
from flowtheory.judge import Equality, Evidence, Slope, Verdict
from flowtheory.laws import (
    Claim,
    Curves,
    Experiment,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    axis,
    check_law,
    verify,
)

T, A, EPS = sp.symbols("T a eps", positive=True)


def free_fall(settings: Settings):
    """T = a ln(1/eps), to rounding."""
    yield Curves({"eps": np.array([0.1])})
    for eps in (1e-1, 1e-2, 1e-3, 1e-4):
        yield Evidence("fall", "f", {"a": 2.0, "eps": eps}, 2.0 * np.log(1 / eps), error=1e-12)


def law(run=free_fall, **changes) -> Law:
    fields = {
        "name": "free-fall",
        "title": "a logarithm",
        "statements": (Statement("time", "derived", sp.Eq(T, A * sp.log(1 / EPS)), "here"),),
        "symbols": (
            SymbolInfo(T, "time", "time"),
            SymbolInfo(A, "inverse rate", "time"),
            SymbolInfo(EPS, "scale", "1"),
        ),
        "assumptions": (),
        "clock": REFERENCE,
        "experiments": (Experiment("fall", "falling", run),),
        "controls": (),
        "claims": (
            Claim(
                "time",
                "fall",
                Equality(1e-9),
                A * sp.log(1 / EPS),
                {"twice": 2 * A * sp.log(1 / EPS), "a power": A * EPS**-1},
                axis="eps",
            ),
            Claim(
                "slope",
                "fall",
                Slope(axis(sp.log(1 / EPS)), tolerance=1e-6),
                A * sp.log(1 / EPS),
                {"half": A * sp.log(1 / EPS) / 2},
            ),
        ),
        "not_shown": ("anything else",),
        "references": ("nobody",),
        "docs": "nowhere",
    }
    return Law(**(fields | changes))


def test_a_right_law_agrees_and_its_wrong_variants_are_rejected():
    found = verify(law())
    assert found.verdict is Verdict.AGREES
    assert {f.verdict for f in found.controls.values()} == {Verdict.DISAGREES}
    assert set(found.controls) == {"time: twice", "time: a power", "slope: half"}
    assert [row.predicted for row in found.rows] == [row.measured for row in found.rows]
    assert list(found.results["fall"].curves) == ["eps"]
    assert found.tested_range() == "a 2, eps 0.0001..0.1, 4 cases"


def test_a_wrong_law_disagrees():
    wrong = replace(law().claims[0], prediction=3 * A * sp.log(1 / EPS), alternatives={})
    right = law().claims[1]
    assert verify(law(claims=(wrong, right))).verdict is Verdict.DISAGREES


def test_an_alternative_that_the_evidence_accepts_makes_it_inconclusive():
    powerless = replace(law().claims[0], alternatives={"the same": A * sp.log(1 / EPS)})
    assert verify(law(claims=(powerless,))).verdict is Verdict.INCONCLUSIVE


def test_the_parameters_that_tell_the_range_can_be_chosen():
    assert verify(law(varied=("eps",))).tested_range() == "eps 0.0001..0.1, 4 cases"


def test_time_runs_out_with_the_rows_kept():
    def endless(settings):
        yield from free_fall(settings)
        while True:
            time.sleep(0.01)

    began = time.monotonic()
    found = verify(law(endless), seconds=0.3)
    assert time.monotonic() - began < 5
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "0.3 s" in found.stopped
    assert "'fall'" in found.stopped
    assert len(found.rows) == 4
    assert {f.verdict for f in found.findings} == {Verdict.AGREES}


def test_what_was_refuted_before_the_time_ran_out_stays_refuted():
    def endless(settings):
        yield Evidence("fall", "f", {"a": 2.0, "eps": 0.1}, 99.0)
        time.sleep(60)

    assert verify(law(endless), seconds=0.3).verdict is Verdict.DISAGREES


def test_a_time_limit_is_a_positive_number():
    with pytest.raises(ParameterError, match="time limit"):
        verify(law(), seconds=0)


def test_an_experiment_that_fails_is_one_clear_error():
    def broken(settings):
        yield from free_fall(settings)
        raise ZeroDivisionError("division by zero")

    with pytest.raises(LawError, match="'fall' failed: ZeroDivisionError"):
        verify(law(broken))


def test_a_prediction_with_a_free_symbol_is_refused():
    lost = replace(law().claims[0], prediction=sp.Symbol("b") * T)
    with pytest.raises(LawError, match=r"free symbol\(s\) T, b"):
        verify(law(claims=(lost,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Free Fall"}, "its name is 'Free Fall'"),
        ({"references": ()}, "field 'references' is empty"),
        ({"not_shown": ()}, "field 'not_shown' is empty"),
        ({"symbols": law().symbols[:2]}, "symbols that are not described: eps"),
        ({"claims": (replace(law().claims[0], experiment="fal"),)}, "about the experiment 'fal'"),
        ({"claims": law().claims[:1] * 2}, "the name 'time' occurs twice"),
        ({"claims": (replace(law().claims[0], alternatives={}),)}, "no.* wrong alternative"),
        (
            {"symbols": (SymbolInfo(T, "time", "1/time"), *law().symbols[1:])},
            "not homogeneous in time",
        ),
        ({"symbols": (SymbolInfo(T, "time", "1/*time"), *law().symbols[1:])}, "cannot be read"),
    ],
)
def test_an_incomplete_law_is_refused(changes, message):
    with pytest.raises(LawError, match=message):
        check_law(law(**changes))


def test_something_else_than_a_law_is_refused():
    with pytest.raises(LawError, match="'dict', not a law"):
        check_law({})
    assert check_law(law()).name == "free-fall"


def test_units_with_exponents_that_are_symbols():
    depth = sp.Symbol("L", integer=True, positive=True)
    gain = sp.Symbol("w", positive=True)
    power = Statement("time", "derived", sp.Eq(T, gain ** (2 - depth) / A), "here")
    symbols = (
        SymbolInfo(T, "time", "gain**(2 - 2*L)"),
        SymbolInfo(A, "strength", "gain**L"),
        SymbolInfo(gain, "gain", "gain"),
        SymbolInfo(depth, "depth", "1"),
    )
    assert check_law(law(statements=(power,), symbols=symbols))
    wrong = replace(power, expression=sp.Eq(T, gain ** (1 - depth) / A))
    with pytest.raises(LawError, match="not homogeneous in gain"):
        check_law(law(statements=(wrong,), symbols=symbols))
