"""Ctrl-C stops a command, whatever Python does when it arrives."""

from __future__ import annotations

import signal
import time

import pytest
import typer

from flowtheory.cli.console import INTERRUPTED, clear_errors


class _Interrupted:
    """Gets a Ctrl-C while it is deleted, where Python forgets what is raised."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_python_forgets_is_sent_again(capsys):
    def works() -> None:
        _Interrupted()
        for _ in range(300):
            time.sleep(0.1)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(typer.Exit) as ended, clear_errors(debug=False):
        works()
    assert ended.value.exit_code == INTERRUPTED
    said = capsys.readouterr().err
    assert said == "interrupted: nothing was written\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_that_a_compiler_makes_an_error_of_its_own_stops_too(capsys):
    def compiles() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("compilation failed") from None

    with pytest.raises(typer.Exit) as ended, clear_errors(debug=False):
        compiles()
    assert ended.value.exit_code == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_an_error_without_an_interrupt_is_shown_as_it_is():
    with pytest.raises(RuntimeError, match="by itself"), clear_errors(debug=False):
        raise RuntimeError("by itself")
