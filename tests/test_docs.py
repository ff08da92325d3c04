"""The documentation is current, its examples run, and nothing tracked depends on one machine."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def load_script(name: str) -> ModuleType:
    """A module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = load_script("generate_docs")
PAGES = GENERATE.pages()


@pytest.mark.parametrize("page", PAGES)
def test_generated_page_is_current(page: str) -> None:
    assert (ROOT / page).exists(), "write it: uv run python scripts/generate_docs.py"
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page](), (
        f"{page} is stale: uv run python scripts/generate_docs.py"
    )


def test_no_page_of_a_room_is_left_behind() -> None:
    api = {f"docs/api/{path.name}" for path in (ROOT / "docs" / "api").iterdir()}
    assert api == {page for page in PAGES if page.startswith("docs/api/")}


def test_every_law_has_its_page_in_the_navigation() -> None:
    from flowtheory.laws.registry import LAWS

    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for law in LAWS.values():
        assert law.docs == f"docs/laws/{law.name}.md"
        assert law.name in (ROOT / law.docs).read_text(encoding="utf-8")
        assert f"{law.name}: {law.docs.removeprefix('docs/')}" in navigation


# Blocks marked `python` are executed, in order, in one namespace a page; others (`py`) are not.
# A block marked `output` is what the one before it printed, to the letter.
BLOCK = re.compile(r"^```(python|output)\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if BLOCK.search(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    namespace: dict[str, object] = {"__name__": "__main__"}
    text, printed = page.read_text(encoding="utf-8"), ""
    for block in BLOCK.finditer(text):
        # Line numbers of a traceback are those of the page.
        line = text.count("\n", 0, block.start(2))
        if block[1] == "output":
            assert printed == block[2], f"{page.name}:{line}"
        else:
            exec(compile("\n" * line + block[2], str(page), "exec"), namespace)
            printed = capsys.readouterr().out


def test_the_pages_that_teach_have_examples() -> None:
    names = {page.name for page in EXAMPLES}
    taught = {"README.md", "getting-started.md", "adding-a-law.md", "derive-a-network.md"}
    assert taught | {"runs.md", "silent-garbage.md"} <= names


DOCTESTED = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "flowtheory").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", DOCTESTED)
def test_docstring_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


README_COMMANDS = (
    "pip install uv && uv run flowtheory verify alignment-time",
    "pip install uv && uv run pytest -n auto",
)


def readme_lines() -> list[str]:
    return [line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]


def test_readme_gives_the_two_commands() -> None:
    lines = readme_lines()
    assert [lines.count(command) for command in README_COMMANDS] == [1, 1]


def test_ci_runs_the_readme_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r"grep -m 1 -E '([^']+)' README\.md", script)
    assert pattern is not None
    found = [line for line in readme_lines() if re.search(pattern[1], line)]
    assert found == [README_COMMANDS[1]]
    assert '-c "$test_command"' in script


def tracked() -> list[Path]:
    """Files under version control; what lies around untracked is the developer's own."""
    run = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.split("\0") if name and (ROOT / name).is_file()]


# Written in pieces, so that this file does not contain them.
ANY_MACHINE = re.compile(
    r"(?<![\w.$~])/(?:" + "|".join(("home", "Users", "root", "work", "mnt")) + r")/\w"
)
REGISTRY = re.compile(
    "|".join(
        name.replace(" ", r"\.")
        for name in ("pypi org", "pythonhosted org", "npmjs org", "anaconda org", "conda io")
    )
)


def offences(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tracked():
        if path.suffix in {".png", ".gz", ".npz", ".ico"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    return found


def test_no_path_of_one_machine() -> None:
    assert ANY_MACHINE.search("open('" + "/home" + "/someone/x')")
    assert offences(ANY_MACHINE) == []


def test_no_registry_address() -> None:
    assert REGISTRY.search("https://" + "pypi" + ".org/simple")
    assert offences(REGISTRY) == []


def test_formulas_become_mathml_or_fail() -> None:
    hook = load_script("mkdocs_mathml")
    assert "<mfrac>" in hook.convert(r"\frac{1}{2s} \ln n", block=False)
    for bad in (r"\frac{", r"\nosuchcommand x", r"\begin{aligned} a &= b \end{aligned}"):
        with pytest.raises(ValueError, match="cannot convert"):
            hook.convert(bad, block=False)
