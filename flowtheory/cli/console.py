"""Consoles, progress and the way errors are shown: shared by all commands."""

from __future__ import annotations

import _thread
import math
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from flowtheory.errors import FlowtheoryError, ParameterError
from flowtheory.outcome import Outcome

WIDTH = 80
USAGE = 2
INTERRUPTED = 130
_BREATH = 0.05  # seconds, after which a lost interrupt is sent again


def stdout() -> Console:
    """Results go here; colour only on a terminal."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 80, highlight=False)


def stderr() -> Console:
    """Progress, errors and notes go here, so that standard output stays clean for pipes."""
    return Console(file=sys.stderr, highlight=False)


def wrapped(text: str) -> str:
    """The text within the width; numbered names and indented equations hang."""
    return "\n".join(map(_wrapped_line, text.split("\n")))


def _wrapped_line(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    hanging = "   " if line[:1].isdigit() else "    " if len(indent) == 5 else ""
    return textwrap.fill(
        line.strip(),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def named_numbers(text: str | None, option: str, example: str) -> dict[str, int]:
    """What an option such as `--sizes h=3,D=2` says."""
    numbers: dict[str, int] = {}
    for part in text.split(",") if text else ():
        name, _, value = part.partition("=")
        if not value.strip().isdigit() or name.strip() in numbers:
            raise ParameterError(
                f"{option} {text!r} is not a list of numbers",
                expected="name=number, separated by commas, each name once",
                fix=f"{option} {example}",
            )
        numbers[name.strip()] = int(value)
    return numbers


@contextmanager
def clear_errors(
    debug: bool, interrupted: Callable[[], str] = lambda: "nothing was written"
) -> Iterator[None]:
    """A user's mistake is one block of text and exit status 2; `--debug` shows the traceback.

    Args:
        debug: whether to show it.
        interrupted: what to say after Ctrl-C about what was written.
    """
    with _noting_interrupts() as interrupts:
        try:
            yield
        except FlowtheoryError as error:
            if debug:
                traceback.print_exc()
            show_error(error)
            raise typer.Exit(USAGE) from error
        except typer.Exit:
            raise
        except BaseException as error:
            # A compiler that is interrupted may turn the interrupt into an error of its own.
            if not (interrupts or isinstance(error, KeyboardInterrupt)):
                raise
            stderr().print(f"interrupted: {interrupted()}", soft_wrap=True, markup=False)
            raise typer.Exit(INTERRUPTED) from error


@contextmanager
def _noting_interrupts() -> Iterator[list[int]]:
    """Ctrl-C raises KeyboardInterrupt as always, and is written down too.

    An interrupt that arrives while Python runs a callback of the garbage collector (JAX has one) or
    a `__del__` is printed and forgotten by the interpreter: it is sent again.
    """
    seen: list[int] = []
    lost: list[threading.Timer] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    def send_again(forgotten: sys.UnraisableHookArgs) -> None:
        if not issubclass(forgotten.exc_type, KeyboardInterrupt):
            former_hook(forgotten)
            return
        lost.append(threading.Timer(_BREATH, _thread.interrupt_main))
        lost[-1].daemon = True
        lost[-1].start()

    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    former, former_hook = signal.signal(signal.SIGINT, note), sys.unraisablehook
    sys.unraisablehook = send_again
    try:
        yield seen
    finally:
        for timer in lost:
            timer.cancel()
        sys.unraisablehook = former_hook
        signal.signal(signal.SIGINT, former)


def show_error(error: FlowtheoryError) -> None:
    """The four beats of an error: wrong, expected, fix, more."""
    console = stderr()
    console.print(Text("error ", style="bold red") + Text(error.wrong), soft_wrap=True)
    beats = (("expected", error.expected), ("fix", error.fix), ("more", error.more))
    for beat, text in beats:
        if text:
            console.print(Text(f"  {beat:<9}", style="bold") + Text(text), soft_wrap=True)


@contextmanager
def run_progress(quiet: bool) -> Iterator[Callable[[float, float, Outcome | None], None]]:
    """A line on standard error with time, loss and outcome of a run, as its callback is told."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = stderr()
    disabled = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=disabled, transient=True) as bar:
        task = bar.add_task("compiling", total=None)

        def report(time: float, log_loss: float, outcome: Outcome | None) -> None:
            if time > 0 or outcome:
                at = f"log10 t {math.log10(time):6.2f}   " if time > 0 else ""
                state = f"{outcome.value}, now the error estimate" if outcome else "running"
                bar.update(task, description=f"{at}log10 L {log_loss:7.2f}   {state}")

        yield report


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on standard error; its callback takes (what, done, total)."""
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = stderr()
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield report


@contextmanager
def cost_progress(quiet: bool) -> Iterator[Callable[[float, float, int], None]]:
    """A progress bar whose estimate of the time left counts costs; its callback is a sweep's."""
    columns = (
        TextColumn("{task.fields[cells]} cells"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = stderr()
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=None, cells=0)

        def report(done: float, total: float, cells: int) -> None:
            bar.update(task, completed=done, total=total, cells=cells)

        yield report
