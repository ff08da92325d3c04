"""The command line keeps compiled programs where the platform wants them; the library does not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowtheory.cli import cache
from flowtheory.cli.cache import JAX_DIRECTORY, OFF, THRESHOLDS, VARIABLE, use_compilation_cache

ROOT = Path(__file__).parents[2]


def used(**environment: str) -> dict[str, str]:
    use_compilation_cache(environment)
    return environment


class TestWhere:
    @pytest.fixture(autouse=True)
    def _at_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "home", lambda: tmp_path)

    @pytest.mark.parametrize(
        ("system", "place"),
        [
            ("linux", ".cache/flowtheory"),
            ("darwin", "Library/Caches/flowtheory"),
            ("win32", "AppData/Local/flowtheory/Cache"),
        ],
    )
    def test_by_platform(self, system, place, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "platform", system)
        found = Path(used()[JAX_DIRECTORY])
        assert found.parent == tmp_path / place
        assert found.name == f"jax-{cache.processor()}"
        assert found.is_dir()

    @pytest.mark.skipif(sys.platform != "linux", reason="XDG is a standard of Linux")
    def test_xdg_but_not_a_relative_one(self, tmp_path):
        asked = tmp_path / "elsewhere"
        found = used(XDG_CACHE_HOME=str(asked))[JAX_DIRECTORY]
        assert Path(found).parent == asked / "flowtheory"
        assert Path(used(XDG_CACHE_HOME="here")[JAX_DIRECTORY]).is_relative_to(tmp_path / ".cache")

    def test_nobody_else_may_write_there(self, tmp_path):
        place = Path(used(**{VARIABLE: str(tmp_path / "mine")})[JAX_DIRECTORY])
        assert place.parent == tmp_path / "mine"
        assert place.stat().st_mode & 0o077 == 0

    def test_all_programs_are_kept(self):
        assert THRESHOLDS.items() <= used().items()
        own = dict.fromkeys(THRESHOLDS, "2")
        assert own.items() <= used(**own).items()

    def test_off_and_the_users_own_are_left_alone(self, tmp_path):
        assert used(**{VARIABLE: OFF}) == {VARIABLE: OFF}
        own = {JAX_DIRECTORY: str(tmp_path / "own")}
        assert used(**own) == own

    def test_a_place_that_cannot_be_made_means_no_cache(self, tmp_path):
        (tmp_path / "file").touch()
        bad = {VARIABLE: str(tmp_path / "file" / "below")}
        assert used(**bad) == bad


def python(code: str, place: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {VARIABLE: str(place), "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", code]
    return subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout


COMMAND = """
import sys
from flowtheory.cli import main as command
def work():
    import jax, json
    jax.jit(lambda a: a + 1)(2.0).block_until_ready()
    print(json.dumps([jax.config.jax_compilation_cache_dir, "jax" in before]))
before = set(sys.modules)
command.app = work
command.main()
"""


def test_the_command_fills_it_and_jax_was_not_there_before(tmp_path):
    place, too_late = json.loads(python(COMMAND, tmp_path))
    assert Path(place).parent == tmp_path
    assert not too_late
    assert any(re.match("jit.*-cache", entry.name) for entry in Path(place).iterdir())


def test_the_library_never_sets_it(tmp_path):
    code = "import flowtheory as ft, jax; ft.GradientFlow, ft.float64(); "
    assert python(code + "print(jax.config.jax_compilation_cache_dir)", tmp_path).strip() == "None"
    assert not list(tmp_path.iterdir())
