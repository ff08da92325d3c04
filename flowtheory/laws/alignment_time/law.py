"""The record of the alignment law."""

from __future__ import annotations

import sympy as sp

from flowtheory.clock import REFERENCE
from flowtheory.data import LabelledData
from flowtheory.laws.alignment_time import formulas as f
from flowtheory.laws.alignment_time.after import after_alignment
from flowtheory.laws.alignment_time.attacks import attacks
from flowtheory.laws.alignment_time.bound import attaining, random_data
from flowtheory.laws.alignment_time.controls import CONTROLS
from flowtheory.laws.alignment_time.figures import alignment_time_figures
from flowtheory.laws.alignment_time.finite_eps import finite_eps
from flowtheory.laws.alignment_time.in_cone import in_cone
from flowtheory.laws.alignment_time.late_attacks import late_attacks
from flowtheory.laws.alignment_time.proof import CERTIFICATE
from flowtheory.laws.alignment_time.real import real_data
from flowtheory.laws.alignment_time.training import directions, training
from flowtheory.laws.attacked import attack_experiment
from flowtheory.laws.record import Assumption, Experiment, Law, Statement, SymbolInfo
from flowtheory.symbolic.alignment import derive_alignment

_PAPER = "Min, Mallada, Vidal, ICLR 2024, arXiv:2307.12851"
_OURS = "flowtheory, docs/laws/alignment-time"

_T = sp.Symbol("T", positive=True)
_T1 = sp.Symbol("t_1", positive=True)


def _statement(name: str, role: str, time: sp.Symbol, bound: sp.Expr, source: str, note: str):
    return Statement(name, role, sp.Le(time, bound, evaluate=False), source, note)


STATEMENTS = (
    _statement(
        "published bound", "published", _T1, f.PUBLISHED, f"{_PAPER}, Thm 1 and appendix",
        "summarised there as O(log n/sqrt(mu))",
    ),
    _statement(
        "published bound, literal", "published", _T1, f.PUBLISHED_LITERAL,
        f"{_PAPER}, with xi evaluated here",
        "xi = mu^2 exactly, so the bound that is proved has mu^(-5/2)",
    ),
    _statement(
        "sharp bound (a)", "sharper", _T, f.SHARP, _OURS,
        "B(mu)/X_min; start outside S_-",
    ),
    _statement(
        "sharp bound (b)", "sharper", _T, f.SHARP_RISING, _OURS,
        "if phi(0) >= 0 or the neuron dies",
    ),
    _statement(
        "sharp bound (c)", "sharper", _T, f.SHARP_REPELLER, _OURS,
        "start in S_- at angle theta_0 from x_-; r_- = |x_-|",
    ),
    _statement(
        "absolute constant", "sharper", _T, f.ABSOLUTE, _OURS,
        "implied by (a): the published form without log n or data constants",
    ),
)  # fmt: skip

SYMBOLS = (
    SymbolInfo(f.mu, "least cosine between signed data y_i x_i", "1"),
    SymbolInfo(f.n, "number of samples", "1"),
    SymbolInfo(f.x_min, "least norm of a datum", "input"),
    SymbolInfo(f.zeta, "margin of the start to the repelling direction and of the cones", "1"),
    SymbolInfo(f.xi, "1 - largest squared cosine between hull and outside of the cones", "1"),
    SymbolInfo(f.theta_0, "angle between the start and x_-", "rad"),
    SymbolInfo(f.x_minus, "norm of the sum of the negative data", "input"),
    SymbolInfo(_T1, "end of the alignment phase, as published", "1/input (sum loss, slope 1)"),
    SymbolInfo(_T, "last switch of a neuron's activation pattern", "1/input (sum loss, slope 1)"),
)


def _separable(data: LabelledData) -> tuple[bool, str]:
    return data.satisfies_assumption_1, (
        f"mu = {data.mu:.4g}; {100 * data.violating_fraction:.2f} % of pairs have cosine <= 0"
    )


def _two_classes(data: LabelledData) -> tuple[bool, str]:
    return data.n_plus > 0 and data.n_minus > 0, f"{data.n_plus} positive, {data.n_minus} negative"


ASSUMPTIONS = (
    Assumption(
        "Assumption 1",
        "mu > 0: all cosines between signed data are positive (orthogonal separability)",
        _separable,
    ),
    Assumption("both classes", "each label occurs (only for the late stages)", _two_classes),
)

ATTACKS = (*attacks(), *late_attacks())

LAW = Law(
    name="alignment-time",
    title="early alignment of two-layer ReLU neurons, small initialization",
    statements=STATEMENTS,
    symbols=SYMBOLS,
    assumptions=ASSUMPTIONS,
    clock=REFERENCE,
    experiments=(
        Experiment("random", "random separable data", random_data),
        attack_experiment(ATTACKS),
        Experiment("attaining", "families that attain the bound", attaining),
        Experiment("in-cone", "the exponent -1/2, inside the cone", in_cone),
        Experiment("real", "real images", real_data),
        Experiment("finite-eps", "the full flow at finite eps", finite_eps),
        Experiment("after", "after alignment", after_alignment),
        Experiment("directions", "neurons' directions in the plane", directions),
        Experiment("training", "the published experiment on images", training),
    ),
    controls=CONTROLS,
    claims=tuple(one.claim() for one in ATTACKS),
    attacks=ATTACKS,
    not_shown=(
        "data that violate Assumption 1 as a whole (centred images do): no bound applies there",
        "the published constants at finite eps, and how small eps must be",
        "log n: no family attains it, and by (a) none can at fixed mu",
        "unbalanced starts: the theorem needs |v_j| = |w_j|",
        "a proof: agreement over a range is evidence; the proof of (a) to (c) is in the docs",
    ),
    references=(
        "H. Min, E. Mallada, R. Vidal. Early neuron alignment in two-layer ReLU networks with "
        "small initialization. ICLR 2024. arXiv:2307.12851.",
        "H. Maennel, O. Bousquet, S. Gelly. Gradient descent quantizes ReLU network features. "
        "2018. arXiv:1803.08367.",
        "D. Chistikov, M. Englert, R. Lazic. Learning a neuron by a shallow ReLU network: dynamics "
        "and implicit bias for correlated inputs. NeurIPS 2023. arXiv:2306.06479.",
    ),
    docs="docs/laws/alignment-time.md",
    certificates=(CERTIFICATE,),
    derive=derive_alignment,
    figures=alignment_time_figures,
)
