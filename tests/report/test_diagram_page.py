"""The page of a diagram: its figures and numbers, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from flowtheory.outcome import Outcome
from flowtheory.phase import diagram, samples, solvable_changes, trained_at
from flowtheory.phase.trained import Trained
from flowtheory.report.diagram import write_diagram
from flowtheory.report.pictures import pictures, regimes_picture

GAMMA, OTHER, WIDTHS = np.linspace(0.6, 1.4, 5), np.linspace(-0.4, 0.4, 3), [64.0, 128.0, 256.0]
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
browser = pytest.mark.skipif(not BROWSER, reason="no chromium")
DRAWN = ("diagram", "widths", "cuts", "features", "functions", "similarity", "field", "regimes")


def measured():
    """A diagram of made-up runs."""
    changes = solvable_changes(GAMMA, OTHER, np.array(WIDTHS), 4.0, 2)
    noise = np.random.default_rng(0).standard_normal((3, 3, 5, 2))
    rd = changes[..., None] * np.exp(0.02 * noise)
    axes = ("width", "gamma_prime", "gamma", "seed")
    columns = {"rd_w": rd[0], "rd_a": rd[1], "rd_w_error": 1e-3 * rd[0], "rd_a_error": 0 * rd[1]}
    columns |= {"displacement": rd[0], "carriers": rd[1]}
    places = {"width": WIDTHS, "gamma_prime": OTHER, "gamma": GAMMA, "seed": [0, 1]}
    about = {"activation": "relu", "data": "three-points", "loss": 1e-3, "eps": 1.0}
    return diagram(
        xr.Dataset({k: (axes, v) for k, v in columns.items()}, places, about),
        samples("three-points"),
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    lost = trained_at(1.0, 0.0, [64, 128])
    failed = [Trained(t.point, t.samples, t.start, t.end, Outcome.STEP_LIMIT) for t in lost]
    target = tmp_path_factory.mktemp("page") / "report"
    write_diagram(
        measured(), target, command="the command", trained=[trained_at(1.4, 0.0, [64, 128]), failed]
    )
    return target


class Text(HTMLParser):
    """The words of the element with an id."""

    def __init__(self, page: str, name: str) -> None:
        super().__init__()
        self.name, self.depth, self.words = name, 0, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if self.depth or dict(attrs).get("id") == self.name:
            self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= self.depth > 0

    def handle_data(self, data):
        self.words += data.split() if self.depth else []


def dumped(tmp_path, page, hash=""):
    """The page after its scripts ran."""
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'user'}",
    )
    words = [BROWSER, *options, "--window-size=1100,900", "--dump-dom", page.as_uri() + hash]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout


def test_every_figure_is_a_section_with_its_files(place):
    page = (place / "index.html").read_text()
    document = json.loads((place / "diagram.json").read_text())
    files = [f"{name}.{suffix}" for name in DRAWN for suffix in ("png", "svg")]
    assert sorted(document["files"]) == sorted(["index.html", "diagram.json", *files])
    assert sorted(path.name for path in place.iterdir()) == sorted(document["files"])
    for name in DRAWN:
        assert page.count(f'<section id="{name}">') == 1
        assert f'href="{name}.png"' in page
        assert f'href="{name}.svg"' in page
    assert page.count("<details>") == 1
    assert "No feature map at (1, 0): step_limit." in page
    assert not re.search(r'(src|href)="(?!data:|#|[a-z]+\.(png|svg|json)")', page)


def test_without_networks_there_is_nothing_of_them():
    shown, notes = pictures(measured())
    assert set(DRAWN) - set(shown) == {"features", "functions", "similarity"}
    assert notes == []


@browser
def test_the_address_chooses_a_cell(place, tmp_path):
    found = measured()
    words = " ".join(Text(dumped(tmp_path, place / "index.html", "#cell=2,1"), "cell").words)
    assert words.startswith(f"γ = {GAMMA[1]:.4g}, γ′ = {OTHER[2]:.4g}")
    assert f"S_w = {found.slopes.hidden[2, 1]:.3f} ± {found.error[2, 1]:.3f}" in words
    for m, rd in zip(WIDTHS, found.rd[0, :, 2, 1], strict=True):
        assert f"{m:.0f} {rd:.4g}" in words
    assert "two_layer_study([0.8], [0.4], [256]" in words
    assert "slopes.w[2][1]" in words


@browser
def test_pointing_at_a_cell_shows_its_numbers(place, tmp_path):
    found = measured()
    script = """<script>document.querySelectorAll(".map rect")[8].dispatchEvent(
        new PointerEvent("pointerenter"));
        document.title = document.documentElement.scrollWidth - innerWidth;</script></body>"""
    copy = tmp_path / "copy.html"
    copy.write_text((place / "index.html").read_text().replace("</body>", script))
    page = dumped(tmp_path, copy, "#cell=99,99")
    words = " ".join(Text(page, "cell").words)
    assert words.startswith(f"γ = {GAMMA[3]:.4g}, γ′ = {OTHER[1]:.4g}")  # second row from above
    assert f"S_w = {found.slopes.hidden[1, 3]:.3f}" in words
    assert page.count('class="shown"') == 1
    excess = re.search(r"<title>(-?\d+)</title>", page)
    assert excess is not None
    assert int(excess[1]) <= 0  # nothing sticks out to the right


def test_the_picture_of_regimes_grows_to_the_place_of_ones_own():
    (axes,) = regimes_picture("relu", own=(3.3, -1.7)).axes
    assert axes.get_xlim() == (0.0, 3.5)
    assert axes.get_ylim() == (-2.0, 1.0)
    (axes,) = regimes_picture("relu", ((-0.2, 1.0), (0.0, 0.5))).axes
    assert axes.get_xlim() == (-0.5, 2.0)
    assert axes.get_ylim() == (-1.0, 1.0)
