"""`derive` and `conserve` answer for every architecture of the registry, and end cleanly."""

import json

import pytest
from typer.testing import CliRunner

from flowtheory.cli.main import app
from flowtheory.symbolic import ARCHITECTURES


def _run(*args):
    result = CliRunner().invoke(app, args)
    assert result.exception is None, result.output
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_derive_and_conserve_answer(name):
    text = _run("derive", name)
    assert "Leading part" in text
    assert max(map(len, text.splitlines())) <= 120
    lines = json.loads(_run("derive", name, "--format", "json"))["lines"]
    assert len(lines) > 6
    laws = _run("conserve", name)
    assert "Law 1" in laws or "No quadratic law" in laws


def test_a_file_of_the_user(tmp_path):
    file = tmp_path / "gated.py"
    file.write_text(
        "from sympy import tanh\n"
        "from flowtheory.symbolic import custom\n"
        "from flowtheory.symbolic.index import index, size, sum_over, tensor\n"
        "i, j, p = index('i'), index('j'), index('p')\n"
        "n, h, D = size('n'), size('h'), size('D')\n"
        "W, U = tensor('W', h, D)[j, p], tensor('U', h, D)[j, p]\n"
        "v, x = tensor('v', h)[j], tensor('x', n, D)[i, p]\n"
        "gate = tanh(sum_over(U * x, (p, D)))\n"
        "network = custom(sum_over(v * sum_over(W * x, (p, D)) * gate, (j, h)), [W, U, v],\n"
        "                 inputs=x, name='gated network')\n"
        "loss = 'logistic'\n"
    )
    text = _run("derive", str(file))
    assert text.startswith("Leading flow of the gated network, logistic loss")
    assert "Homogeneous of degree 3: 1 in W; 1 in U; 1 in v." in text
    assert "square loss" in _run("derive", str(file), "--loss", "half_square")
