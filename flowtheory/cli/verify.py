"""`flowtheory verify`: run a law's experiments and controls, and give the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowtheory.cli.console import clear_errors, progress_bar, stderr, stdout

DEFAULT_REPORT = Path("out")


def verify(
    law: Annotated[str, typer.Argument(help="Name of a law; `flowtheory laws` lists them.")],
    data: Annotated[
        str,
        typer.Option(
            help="Real images: digits (bundled), mnist:PATH (IDX files), mnist (download), or "
            "synthetic for none."
        ),
    ] = "digits",
    classes: Annotated[
        str, typer.Option(help="The two classes of the real images; the first gets label +1.")
    ] = "0,1",
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A few seconds, small ranges.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Minutes, the widest ranges.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Directory of the report. Default: out/LAW.")
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    json_path: Annotated[
        str | None,
        typer.Option("--json", metavar="PATH", help="Write the evidence as JSON; - for stdout."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Test a published law and give a verdict.

    Exit status: 0 AGREES, 1 DISAGREES, 3 INCONCLUSIVE, 2 bad usage.
    """
    with clear_errors(debug):
        effort = _effort(quick, full)
        target = None if no_report else (report or DEFAULT_REPORT / law)
        document, paths, code = _run(law, data, classes, seed, effort, target, json_path, quiet)
        if json_path == "-":
            from flowtheory.report import to_json

            typer.echo(to_json(document).rstrip("\n"))
        elif not quiet:
            from flowtheory.report import print_verification

            print_verification(stdout(), document, paths)
    raise typer.Exit(code)


def _effort(quick: bool, full: bool) -> str:
    from flowtheory.errors import ParameterError

    if quick and full:
        raise ParameterError(
            "--quick and --full were both given",
            expected="at most one of them",
            fix="drop one; without either the run takes under a minute",
        )
    return "quick" if quick else "full" if full else "standard"


def _run(
    name: str,
    data: str,
    classes: str,
    seed: int,
    effort: str,
    target: Path | None,
    json_path: str | None,
    quiet: bool,
) -> tuple[dict[str, Any], dict[str, Path], int]:
    """Check everything that can be checked first, then verify, then write."""
    from flowtheory.cli.data_option import load
    from flowtheory.laws.record import Effort, Settings
    from flowtheory.laws.registry import get_law
    from flowtheory.laws.verify import verify as run_law
    from flowtheory.report import check_writable, to_dict, write_report
    from flowtheory.report.json_file import check_json_path, write_json

    law = get_law(name)
    Settings(seed=seed)
    if target is not None:
        check_writable(target)
    json_file = None if json_path in (None, "-") else Path(json_path)
    if json_file is not None:
        check_json_path(json_file)
    images = load(data, classes)
    silent = quiet or json_path == "-"
    with progress_bar(silent) as progress:
        settings = Settings(seed, Effort(effort), images, progress)
        verification = run_law(law, settings)
    command = _command(name, data, classes, seed, effort)
    document = to_dict(verification, command=command)
    paths: dict[str, Path] = {}
    if target is not None:
        paths = write_report(verification, verification.figures(), target, command=command)
    if json_file is not None:
        write_json(document, json_file)
        if not quiet:
            stderr().print(f"evidence: {json_file}")
    return document, paths, verification.verdict.exit_code


def _command(name: str, data: str, classes: str, seed: int, effort: str) -> str:
    """The command that gives the same verdict again."""
    options = f" --data {data} --classes {classes} --seed {seed}"
    return f"flowtheory verify {name}{options}" + ("" if effort == "standard" else f" --{effort}")
