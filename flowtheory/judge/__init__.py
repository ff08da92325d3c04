"""Fits with intervals, comparison of predictions and measurements, verdicts."""

from flowtheory.judge.evidence import Evidence as Evidence
from flowtheory.judge.finding import Finding as Finding
from flowtheory.judge.finding import judge_attained as judge_attained
from flowtheory.judge.finding import judge_equality as judge_equality
from flowtheory.judge.finding import judge_fit as judge_fit
from flowtheory.judge.finding import judge_upper_bound as judge_upper_bound
from flowtheory.judge.fit import Fit as Fit
from flowtheory.judge.fit import fit_slope as fit_slope
from flowtheory.judge.verdict import Verdict as Verdict
