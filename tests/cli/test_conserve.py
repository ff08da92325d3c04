"""`flowtheory conserve` as a stranger uses it: laws, drift and counts, in three formats."""

import json

import pytest
from typer.testing import CliRunner

from flowtheory.cli.main import app
from flowtheory.symbolic.derivation import from_json
from flowtheory.symbolic.printing import unicode_line

RUNNER = CliRunner()


def run(*arguments):
    return RUNNER.invoke(app, ["conserve", *arguments], catch_exceptions=False)


def shown(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= 80
    return result.stdout


def test_a_tanh_network():
    text = shown("fully-connected", "--activation", "tanh", "--sizes", "h=3,D=2")
    assert "d/dt (Σ_p W_jp W_kp - v_j v_k) = 0" in text
    assert "Holds along the leading flow at small initialization" in text
    assert "-2 Σ_ij g₁_ij (σ(z₁_ij) - z₁_ij σ'(z₁_ij))" in text
    assert "σ(z) - z σ'(z) = 2 z³/3 + O(z⁴)" in text
    assert "N = 6" in text
    assert "For D = 2, h = 3: 9 parameters. Proved" in text
    assert "d/dt (W_11 W_21 + W_12 W_22 - v_1 v_2) = 0" in text
    assert "No count for all data and all losses: the output is not a polynomial." in text


def test_a_relu_network_has_laws_of_the_full_flow():
    text = shown("fully-connected", "--activation", "relu", "--layers", "3")
    assert text.count("Holds along the full flow, for every loss") == 2
    assert text.count("N = 4") == 2
    assert "patterns that no input realizes" in " ".join(text.split())
    assert "Drift" not in text


@pytest.mark.parametrize(
    ("network", "number"),
    [("linear:2,3,2", 6), ("relu:2,3,2", 3), ("attention:3,2,1", 6), ("convolution:3,3", 9)],
)
def test_networks_with_given_widths(network, number):
    assert f"N = {number}\n" in shown(network)
    document = json.loads(shown_json(network))
    (count,) = document["counts"]
    assert (count["lower"], count["upper"], count["proved"]) == (number, number, True)
    assert count["found"] == number


def shown_json(*arguments):
    return run(*arguments, "--format", "json").stdout


def test_one_layer_has_no_law_and_no_drift():
    text = shown("fully-connected", "--layers", "1")
    assert text.count("N = 0") == 2
    assert "No quadratic law of one or several layers was found." in text
    assert "near z = 0" not in text
    assert "those above" not in text


def test_a_gap_is_shown_as_two_bounds():
    text = shown("linear:1,3,5,1,2")
    assert "= (21, 23)" in text
    assert "Not proved" in text
    assert "Of 21 laws found, 12 follow." in " ".join(text.split())
    assert "Found law 12\n" in text
    assert "Found law 13\n" not in text
    assert len(json.loads(shown_json("linear:1,3,5,1,2"))["lines"]) == 22


def test_one_flow_names_its_data_and_depends_on_the_seed():
    arguments = ("fully-connected", "--question", "one-flow", "--sizes", "n=1")
    first, second = (shown(*arguments, "--seed", seed) for seed in ("0", "1"))
    assert "The one flow has random data: c = [" in first
    assert "N = 5" in first
    assert "N = 5" in second
    assert first != second


def test_json_statements_are_exact():
    text = shown_json("deep-linear", "--layers", "3")
    document = json.loads(text)
    lines = from_json(text)
    assert unicode_line(lines["Law 1, for every pair of units"]) == document["lines"][0]["text"]
    scope, held = "every pair of units", "the full flow, for every loss"
    assert document["laws"] == [{"scope": scope, "validity": held}] * 2
    assert [count["sizes"] for count in document["counts"]] == [
        {"C": 2, "D": 2, "h1": 2, "h2": 2}
    ] * 2


def test_latex_is_a_document():
    latex = shown_latex("fully-connected", "--activation", "sin")
    assert latex.startswith("% No count for all data")
    assert "\\documentclass" in latex
    assert latex.rstrip().endswith("\\end{document}")
    assert latex.isascii()


def shown_latex(*arguments):
    return run(*arguments, "--format", "latex").stdout


MISTAKES = {
    "no such architecture": (["fully-conected"], "fully-connected"),
    "no such factorization": (["foo:2"], "attention, convolution, linear, relu"),
    "widths missing": (["attention"], "attention:3,2,1"),
    "too few widths": (["attention:3"], "attention:3,2,1"),
    "widths are words": (["relu:a,b"], "whole numbers separated by commas"),
    "a width is zero": (["relu:2,0,1"], "positive whole numbers"),
    "layers of given widths": (["relu:2,3", "--layers", "3"], "--layers"),
    "activation of a linear network": (["deep-linear", "--activation", "relu"], "relu"),
    "layers is zero": (["deep-linear", "--layers", "0"], "layers is 0"),
    "sizes are no list": (["deep-linear", "--sizes", "h2"], "h=3,D=2"),
    "a size twice": (["deep-linear", "--sizes", "D=2,D=3"], "each name once"),
    "a size of another network": (["deep-linear", "--sizes", "q=2"], "no size q"),
    "a size is zero": (["deep-linear", "--sizes", "h=0"], "the size h is 0"),
    "no such question": (["deep-linear", "--question", "x"], "all-data, leading, one-flow"),
    "not polynomial": (["fully-connected", "--question", "all-data"], "not a polynomial"),
    "no leading flow": (["fully-connected", "--activation", "1/z"], "pole"),
    "degree is zero": (["linear:2,2,2", "--degree", "0"], "the degree is 0"),
    "too large": (["linear:9,9,9", "--degree", "4"], "lower the degree"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_one_clear_error(name):
    arguments, said = MISTAKES[name]
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "expected" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
