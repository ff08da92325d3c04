"""The page: complete, self-contained, well formed, and safe against what it quotes."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest
from report import fake

from flowtheory.judge import Verdict
from flowtheory.plot.style import DARK_THEME
from flowtheory.report import render_page, to_dict
from flowtheory.report.svg import inline_svg, svg_of

VOID = {"meta", "br", "img", "link", "hr", "input"}
LOADS = {"src", "srcset", "data", "poster", "action", "background"}


class Reader(HTMLParser):
    """Elements with their attributes, and whether every element is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def figures():
    return fake.figures(fake.verification())


@pytest.fixture(scope="module")
def page(figures) -> str:
    files = {name: [f"figures/{name}.svg"] for name in figures}
    return render_page(to_dict(fake.verification()), figures, downloads=files)


@pytest.fixture(scope="module")
def read(page) -> Reader:
    return Reader(page)


def test_sections_are_in_the_readers_order(read):
    sections = [attributes["id"] for tag, attributes in read.elements if tag == "section"]
    assert sections == [
        "statement", "verdict", "findings", "evidence", "figures", "other", "fits", "controls",
        "assumptions", "not-shown", "reproduce", "references",
    ]  # fmt: skip


def test_nothing_is_loaded_from_elsewhere(page, read):
    tags = {tag for tag, _ in read.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "audio", "video"}
    for tag, attributes in read.elements:
        assert not LOADS & set(attributes), (tag, attributes)
        for name in ("href", "xlink:href"):
            target = attributes.get(name, "#")
            assert target.startswith("#") or (tag == "a" and name == "href"), (tag, target)
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) == {"#"}


def test_links_are_files_of_the_report_or_references(read):
    links = [attributes["href"] for tag, attributes in read.elements if tag == "a"]
    outside = [link for link in links if link.startswith("http")]
    assert outside == ["https://arxiv.org/abs/2307.12851"]
    assert set(links) - set(outside) == {
        "evidence.json",
        *(f"figures/{name}.svg" for name in fake.figures(fake.verification())),
    }


def test_names_are_unique_and_references_resolve(page, read):
    names = read.attributes("id")
    assert len(set(names)) == len(names)
    used = {href[1:] for href in read.attributes("href") if href.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert used
    assert used <= set(names)


def test_every_figure_is_there_with_its_caption(read, figures):
    pictures = [a for tag, a in read.elements if tag == "svg" and a.get("role") == "img"]
    assert [one["aria-label"] for one in pictures] == [caption for _, caption in figures.values()]


def test_statements_are_formulas_side_by_side(read):
    formulas = [a["alttext"] for tag, a in read.elements if tag == "math" and "display" in a]
    for statement in fake.STATEMENTS:
        assert statement.latex in formulas
    roles = [a.get("class") for _, a in read.elements].count("role")
    assert roles == 2


def test_what_was_found_is_said(read):
    said = re.sub(r"\s+", " ", " ".join(read.text))
    document = to_dict(fake.verification())
    for words in (
        document["title"], document["clock"], "300 of 301 cases",
        *document["not_shown"][:1], document["command"], document["data"]["provenance"],
        *(f"{name} {version}" for name, version in document["versions"].items()),
        *(one["name"] for one in document["controls"]),
        *(one["family"] for one in document["evidence"]),
        "1 − 5.3 × 10⁻¹⁰", "2.00005 ± 0.00029",
    ):  # fmt: skip
        assert words in said


def test_verdicts_are_words_and_not_only_colours(figures):
    bad = replace(fake.CONTROLS[0][1], verdict=Verdict.AGREES)
    run = fake.verification(verdict=Verdict.DISAGREES, controls={"B(sqrt(mu))": bad})
    page = render_page(to_dict(run), {}, downloads={})
    assert '<span class="verdict DISAGREES">DISAGREES</span>' in page
    assert '<section id="controls" class="controls">' in page
    assert ">AGREES</span>" in page.split('id="controls"')[1]


def test_quoted_text_cannot_become_markup(figures):
    evil = '<script>alert("x")</script>'
    law = replace(fake.law(), title=evil, not_shown=(evil,), references=(evil,))
    finding = replace(fake.CONTROLS[0][1], claim=evil, detail=evil)
    results = {"random": replace(fake.results()["random"], findings=(finding,))}
    run = fake.verification(law=law, results=results, controls={evil: finding})
    one = {"slopes": (figures["slopes"][0], evil)}
    page = render_page(to_dict(run, command=evil), one, downloads={})
    assert "<script" not in page
    assert escape(evil) in page


def test_page_without_figures_fits_or_controls():
    run = fake.verification(results={}, controls={})
    sections = [a["id"] for t, a in Reader(render_page(to_dict(run), {}, downloads={})).elements
                if t == "section"]  # fmt: skip
    assert "figures" not in sections
    assert "fits" not in sections
    assert "controls" not in sections


def test_colours_follow_the_page(page, figures):
    dark = page.split("prefers-color-scheme: dark")[1].split("@media print")[0]
    for colour, counterpart in DARK_THEME.items():
        assert f"--c-{colour[1:]}: {counterpart};" in dark
    drawn = inline_svg(svg_of(figures["slopes"][0]), "slopes", "label")
    coloured = re.findall(r"(?:fill|stroke): ([^;\"]+)", drawn)
    assert {one for one in coloured if not one.startswith("var(--c-")} <= {"none"}


def test_the_same_verification_gives_the_same_page(page, figures):
    files = {name: [f"figures/{name}.svg"] for name in figures}
    assert render_page(to_dict(fake.verification()), figures, downloads=files) == page
