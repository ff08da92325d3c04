"""Kinds of claims, fits with intervals, verdicts."""

from flowtheory.judge.bound import Attained as Attained
from flowtheory.judge.bound import LowerBound as LowerBound
from flowtheory.judge.bound import UpperBound as UpperBound
from flowtheory.judge.equality import Equality as Equality
from flowtheory.judge.equality import Mean as Mean
from flowtheory.judge.evidence import Evidence as Evidence
from flowtheory.judge.finding import Finding as Finding
from flowtheory.judge.finding import Kind as Kind
from flowtheory.judge.finding import judge_fit as judge_fit
from flowtheory.judge.fit import Fit as Fit
from flowtheory.judge.fit import fit_slope as fit_slope
from flowtheory.judge.proportion import Proportion as Proportion
from flowtheory.judge.slope import Axis as Axis
from flowtheory.judge.slope import Slope as Slope
from flowtheory.judge.verdict import Verdict as Verdict
