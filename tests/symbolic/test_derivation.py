import re
import shutil
import subprocess
import sys

import pytest
import sympy as sp
from latex2mathml.converter import convert

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.symbolic import derive_alignment, effective_flow, find_network, leaky_relu
from flowtheory.symbolic.derivation import Derivation, Line, from_json
from flowtheory.symbolic.network import INPUT_DIMENSION, SAMPLES, WIDTH
from flowtheory.symbolic.printing import Rate, tex, unicode_line


@pytest.fixture(scope="module")
def derivation():
    return derive_alignment("exponential")


def test_json_round_trip_of_every_statement(derivation):
    assert from_json(derivation.json()) == derivation
    for loss in ("logistic", "half_square"):
        other = derive_alignment(loss, leaky_relu(sp.Symbol("a", real=True)))
        assert from_json(other.json()) == other


def test_nothing_contains_a_distribution_or_a_number_for_a_size(derivation):
    for line in derivation:
        assert not line.statement.has(sp.Heaviside, sp.DiracDelta, sp.Derivative)
        extents = {limit[2] for node in line.statement.atoms(sp.Sum) for limit in node.limits}
        assert extents <= {WIDTH, INPUT_DIMENSION, SAMPLES}


def test_the_loss_and_the_activation_matter():
    exponential, logistic = derive_alignment("exponential"), derive_alignment("logistic")
    assert exponential["Data weights"] != logistic["Data weights"]
    assert exponential["Hidden weights"] == logistic["Hidden weights"]
    with pytest.raises(ParameterError, match="not proved"):
        derive_alignment("exponential", "tanh")


def test_every_statement_is_an_equation_with_a_name_of_its_own(derivation):
    names = [line.name for line in derivation]
    assert len(set(names)) == len(names)
    assert all(isinstance(line.statement, sp.Eq) for line in derivation)


def test_an_unknown_statement_is_named(derivation):
    with pytest.raises(UnknownNameError, match="did you mean 'Half-angle law'"):
        derivation["Half angle-law"]


def test_text_reads_like_a_paper(derivation):
    text = derivation.text()
    for formula in (
        "f_i = Σ_j v_j σ(Σ_p W_jp x_ip)",
        "L(ε) = n - ε² Σ_i f_i y_i + ε⁴/2 Σ_i f_i² y_i² + O(ε⁶)",
        "d/dt W_jp = v_j Σ_i c_i x_ip 1[Σ_q W_jq x_iq > 0]",
        "d/dt v_j = Σ_p W_jp a_jp",
        "d/dt (v_j² - Σ_p W_jp²) = 0",
        "d/dt u_jp = κ_j (a_jp - φ_j u_jp)",
        "d/dt φ_j = α_j² - φ_j²",
        "tan(ψ/2) = exp(-α t) tan(ψ₀/2)",
        "Σ_p W_jp x_ip = 0",
    ):
        assert f"     {formula}\n" in text, formula


def test_latex_document_is_balanced_and_every_formula_converts_to_mathml(derivation):
    document = derivation.latex()
    assert document.count("{") == document.count("}")
    assert document.count(r"\left") == document.count(r"\right")
    assert document.count(r"\begin{equation}") == len(derivation)
    assert document.isascii()
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", document) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    for line in derivation:
        assert "<math" in convert(tex(line.statement))
    assert derivation._repr_latex_().startswith("$$\\begin{aligned}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dθ/dt = -∇L", r"d$\theta $/dt = -$\nabla $L"),
        ("W₂ [h₂, h₁], x_ip, T_*", r"$W_{2}$ [$h_{2}$, $h_{1}$], $x_{ip}$, $T_{*}$"),
        ("hₖ, Λ, λ ≥ 0, ε⁻²", r"$h_{k}$, $\Lambda $, $\lambda $ $\ge $ 0, $\epsilon $$^{-2}$"),
        ("half_square & 50%", r"half\_square \& 50\%"),
    ],
)
def test_words_of_a_document_are_ascii(words, expected):
    document = Derivation("t", (Line("n", sp.Eq(sp.Symbol("x"), 1), words),)).latex()
    assert rf"\paragraph{{n.}} {expected}" in document


DOCUMENTS = (
    ("fully-connected", 3, "z*tanh(z)"),
    ("fully-connected", 2, "sigmoid"),
    ("fully-connected", 2, "relu"),
    ("fully-connected", 4, "gelu"),
    ("fully-connected-vector", 2, "tanh"),
    ("deep-linear", 3, None),
)


@pytest.mark.parametrize("case", DOCUMENTS, ids=str)
def test_the_document_of_a_network_compiles(case, tmp_path):
    document = effective_flow(find_network(*case)).latex()
    assert document.isascii()
    assert document.count("{") == document.count("}")
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("LaTeX is not installed; the document is ASCII and balanced")
    (tmp_path / "a.tex").write_text(document)
    options = ("-interaction=nonstopmode", "-halt-on-error")
    run = subprocess.run(
        [pdflatex, *options, "a.tex"], cwd=tmp_path, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stdout[-2000:]
    log = (tmp_path / "a.log").read_text(errors="replace")
    assert not re.search(r"^Overfull \\hbox", log, re.MULTILINE)


def test_long_sums_are_broken_at_their_terms():
    a, b, c = (sp.Symbol(letter * 90) for letter in "abc")
    eps = sp.Symbol("epsilon", positive=True)
    document = Derivation("t", (Line("n", sp.Eq(c, a - eps * (b - c)), ""),)).latex()
    (rows,) = re.findall(r"begin{aligned}\n(.*)\n\\end{aligned}", document, re.DOTALL)
    first, second, third = rows.split(" \\\\\n&\\quad ")
    assert first == f"{c} &= {a}"
    assert sorted((second, third)) == [f"+ {c} \\epsilon", f"- {b} \\epsilon"]


def test_printing_keeps_denominators_out_of_sums_and_brackets_what_needs_it():
    x, y, z = sp.symbols("x y z")
    i, n = sp.symbols("i n", integer=True, positive=True)
    total = sp.Sum(sp.IndexedBase("f")[i], (i, 1, n))
    assert unicode_line(sp.Rational(3, 2) * total * x) == "3 x/2 Σ_i f_i"
    assert unicode_line(total**2 / x) == "(Σ_i f_i)²/x"
    assert unicode_line(total * sp.Sum(x, (i, 1, n))) == "(Σ_i x) Σ_i f_i"
    assert unicode_line((x + y) / (x - y)) == "(x + y)/(x - y)"
    assert unicode_line(-x * (y + z) / 3) == "-x (y + z)/3"
    assert [unicode_line(r) for r in (sp.Ge(x, y), sp.Lt(x, y))] == ["x ≥ y", "x < y"]
    assert unicode_line(sp.sqrt(x + y)) == "√(x + y)"
    assert unicode_line(1 / (x * y) ** 2) == "1/(x² y²)"
    assert unicode_line(x ** sp.Rational(3, 2)) == "x^(3/2)"
    assert tex(sp.Rational(3, 2) * total) == r"\frac{3}{2} \sum_{i=1}^{n} {f}_{i}"
    assert tex((x + y) / z) == r"\frac{x + y}{z}"
    assert tex(Rate(x) * y) == r"y \dot{x}"


def test_special_characters_are_escaped():
    line = Line("50% & more_things", sp.Eq(sp.Symbol("x"), 1), "a_b #1")
    document = Derivation("title_one", (line,)).latex()
    assert r"50\% \& more\_things" in document
    assert r"title\_one" in document


def test_the_symbolic_room_does_not_load_jax():
    code = "import sys, flowtheory.symbolic; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
