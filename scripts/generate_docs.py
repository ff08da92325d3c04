"""Writes the parts of the documentation that are derived from the package.

    uv run python scripts/generate_docs.py [PATH ...]

writes docs/cli.md, docs/outcomes.md, docs/api/*.md, the table of laws in README.md and
docs/laws/index.md, the reference of a run's file in docs/runs.md and docs/benchmarks.md from the
results that lie in benchmarks/results/, or those of them whose path begins with a PATH.
tests/test_docs.py fails while any of them is stale.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowtheory.laws.record import Law, Statement

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "flowtheory"
NOTICE = "<!-- Written by scripts/generate_docs.py; do not edit. -->\n"


def cli_page() -> str:
    """The help of every command, as the command prints it."""
    from typer.core import TyperGroup
    from typer.main import get_command
    from typer.testing import CliRunner

    from flowtheory.cli.main import app

    def block(*command: str) -> str:
        result = CliRunner().invoke(app, [*command, "--help"])
        title = " ".join(("flowtheory", *command))
        return f"## `{title}`\n\n```text\n{result.stdout.strip()}\n```\n"

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    blocks = [block(), *(block(name) for name in group.commands)]
    return f"{NOTICE}\n# Command line\n\n" + "\n".join(blocks)


def outcomes_page() -> str:
    """All outcomes with their common reasons."""
    from flowtheory.outcome import Outcome

    rows = [f"| `{end.name}` | {'yes' if end.ok else 'no'} | {end.reason} |" for end in Outcome]
    return (
        f"{NOTICE}\n# Outcomes\n\n"
        "Every run (a neuron's path, a gradient flow) ends with one `flowtheory.Outcome`, never "
        "with a silent NaN. Ask `outcome.ok`; do not compare with a single member. Two stages in a "
        "row are merged by `first.then(second)`: the first failure wins.\n\n"
        "| outcome | ok | meaning and common reasons |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def rooms() -> dict[str, Path]:
    """The packages of the public API by dotted name: flowtheory and its rooms."""
    inits = [PACKAGE / "__init__.py", *sorted(PACKAGE.glob("*/__init__.py"))]
    return {".".join(path.parent.relative_to(ROOT).parts): path for path in inits}


def public_names(init: Path) -> list[str]:
    """What an `__init__.py` exports: the names imported as themselves, `X as X`."""
    return [
        alias.name
        for node in ast.parse(init.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]


def api_page(room: str, init: Path) -> str:
    """One directive for every public name of a room."""
    text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
    directives = "\n".join(f"::: {room}.{name}\n" for name in public_names(init))
    return f"{NOTICE}\n# {room}\n\n{text}\n\n{directives}"


def law_table(folder: str) -> str:
    """The registered laws, for a page in `folder`: the first statement of each role, the verdict.

    Verdicts and ranges are those of the stored atlas, which `flowtheory verify --all --full --json
    docs/laws/atlas.json` writes.
    """
    from flowtheory.laws.registry import LAWS

    stored = json.loads((ROOT / "docs/laws/atlas.json").read_text(encoding="utf-8"))
    judged = {one["law"]: one for one in stored["laws"]}
    rows = [
        "| law | published | sharper, or derived here | source | verdict | wrong variants rejected "
        "| tested over |",
        "|---|---|---|---|---|---|---|",
    ]
    for law in LAWS.values():
        first = (_first(law, "published"), _first(law, "sharper", "derived"))
        source = next((s.source for s in first if s), "")
        formulas = [_cell_formula(s.latex) if s else "" for s in first]
        name = f"[`{law.name}`]({law.docs.removeprefix(folder)})"
        found = judged.get(law.name)
        verdict = ["not run", "", ""]
        if found:
            verdict = [
                found["verdict"],
                f"{found['rejected']} of {len(found['variants'])}",
                found["range"],
            ]
        rows.append(f"| {' | '.join([name, *formulas, source, *verdict])} |")
    return "\n".join(rows)


def power_page() -> str:
    """What each wrong variant met, and how often a verdict was wrong over many seeds."""
    stored = json.loads((ROOT / "docs/laws/power.json").read_text(encoding="utf-8"))
    rows = [
        "| law | wrong variant | accepted | not told apart | rejected |",
        "|---|---|---|---|---|",
    ]
    for law, found in stored["laws"].items():
        agreed = found["verdicts"].get("AGREES", 0)
        runs = sum(found["verdicts"].values())
        rows.append(f"| **{law}** | *none: the law itself agrees in {agreed} of {runs}* | | | |")
        for name, counts in found["variants"].items():
            cells = [counts.get(v, 0) for v in ("AGREES", "INCONCLUSIVE", "DISAGREES")]
            rows.append(f"| | {name.replace('|', chr(92) + '|')} | {' | '.join(map(str, cells))} |")
    parts = [f"{NOTICE}\n# Power", POWER, f"`{stored['command']}`", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


POWER = """How often the judge is wrong. Every law is run with many seeds, at the effort named in \
the command; in each run its wrong variants are judged on the same evidence. A *false fail* is a \
run in which the law itself does not come out AGREES, a *false pass* one in which a wrong variant \
does (accepted); a variant that is not told apart makes the verdict INCONCLUSIVE. Laws whose \
evidence does not depend on the seed repeat one outcome."""


def _first(law: Law, *roles: str) -> Statement | None:
    return next((s for s in law.statements if s.role in roles), None)


def _cell_formula(latex: str) -> str:
    # A bar would end the cell of the table.
    return r"$\displaystyle " + latex.replace("|", r"\vert ") + "$"


def filled(page: Path, name: str, text: str) -> str:
    """The page with fresh text between the markers `name:begin` and `name:end`."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{page.name} lacks the markers {begin} and {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def run_page() -> str:
    """The page of runs, with the reference of a run's file."""
    from flowtheory.engine.keys import reference

    return filled(ROOT / "docs/runs.md", "keys", reference())


def benchmarks_page() -> str:
    """The stored results of the benchmarks, those against the goals first."""
    paths = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    goals = [
        table for result in results.values() for table in result["tables"] if _has_goals(table)
    ]
    parts = [f"{NOTICE}\n# Benchmarks", BENCHMARKS]
    if goals:
        rows = [row for table in goals for row in table["rows"]]
        trials = [name for name, result in results.items() if result["quick"]]
        parts += ["## Against the goals"]
        if trials:
            parts.append(f"**Trials with tiny sizes, of no meaning: {', '.join(trials)}.**")
        parts.append(_table(goals[0]["columns"], sorted(rows, key=_line)))
    parts += [_benchmark(name, result) for name, result in results.items()]
    return "\n\n".join(parts) + "\n"


BENCHMARKS = """Ours and what people use, in turn in one process, with the error beside each time. \
Ratios of one run count; absolute times are those of the machine. `python benchmarks/all.py` \
measures anew, `python scripts/generate_docs.py docs/benchmarks.md` writes this page from \
`benchmarks/results/`; PyTorch, torchdiffeq and heyoka are measured where they are installed (`uv \
pip install torch torchdiffeq heyoka`). A ratio is the peer's time over ours, errors are relative \
errors of the answer; the prototype's ratio and the goal are those the project set out with. A \
peer that was stopped counts with the time it was given: its ratio is a lower bound. Gradient \
descent on P4 is extrapolated by its number of steps."""


def _line(row: list[Any]) -> str:
    return row[0]


def _has_goals(table: dict[str, Any]) -> bool:
    return {"prototype", "goal"} <= set(table["columns"])


def _benchmark(name: str, result: dict[str, Any]) -> str:
    """One result: what was asked, where and when, and its tables."""
    made = ", ".join(
        f"{value} cores" if key == "cpu_count" else f"{key} {value}"
        for key, value in result["machine"].items()
    )
    parts = [
        f"## {name}: {result['question']}",
        f"`{result['command']}`, {result['date']}: {made}.",
    ]
    if result["quick"]:
        parts.append("**A trial with tiny sizes: it shows that the script works, nothing else.**")
    parts.append(result["text"])
    for table in result["tables"]:
        if not _has_goals(table):
            parts += [f"### {name}: {table['title']}", table["text"]]
            parts.append(_table(table["columns"], table["rows"]))
    return "\n\n".join(part for part in parts if part)


def _table(columns: list[str], rows: list[list[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_entry, line))} |" for line in lines)


def _entry(value: Any) -> str:
    """Three digits; what was not measured is left empty."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace("|", r"\|")


def pages() -> dict[str, Callable[[], str]]:
    """How each generated page is made, by its path from the root of the repository."""
    made: dict[str, Callable[[], str]] = {
        "docs/cli.md": cli_page,
        "docs/outcomes.md": outcomes_page,
        "docs/benchmarks.md": benchmarks_page,
        "docs/runs.md": run_page,
        "docs/laws/power.md": power_page,
        "README.md": lambda: filled(ROOT / "README.md", "laws", law_table("")),
        "docs/laws/index.md": lambda: filled(
            ROOT / "docs/laws/index.md", "laws", law_table("docs/laws/")
        ),
    }
    for room, init in rooms().items():
        if public_names(init):
            made[f"docs/api/{room}.md"] = lambda room=room, init=init: api_page(room, init)
    return made


def main(prefixes: tuple[str, ...]) -> None:
    """Write every page whose path starts with one of `prefixes` (all, if there is none)."""
    chosen = {path: make for path, make in pages().items() if path.startswith(prefixes or "")}
    for path, make in chosen.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(make(), encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
