"""`flowtheory verify`: run a law's experiments and controls, and give the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowtheory.cli.console import clear_errors, progress_bar, stdout
from flowtheory.cli.output import Output
from flowtheory.cli.work import Work

if TYPE_CHECKING:
    from flowtheory.laws.record import Law, Settings

DEFAULT_REPORT = Path("out")


Certify = Annotated[
    bool,
    typer.Option(
        "--certify", help="Prove rows in ball arithmetic where the law knows how (python-flint)."
    ),
]
Jobs = Annotated[
    int | None, typer.Option(help="With --all: processes at once. Default: one a core.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="With --all: do not take over results of the same command.")
]


def verify(
    law: Annotated[
        str | None,
        typer.Argument(
            help="Name of a law (`flowtheory laws` lists them), or a Python file that defines one."
        ),
    ] = None,
    all_laws: Annotated[
        bool, typer.Option("--all", help="Every law, and one page of all verdicts (the atlas).")
    ] = False,
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
    time_limit: Annotated[
        float | None,
        typer.Option(help="Longest time of a law in seconds; its evidence so far is kept."),
    ] = None,
    certify: Certify = False,
    jobs: Jobs = None,
    fresh: Fresh = False,
    report: Annotated[
        Path | None, typer.Option(help="Directory of the report. Default: out/LAW or out/atlas.")
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    json_path: Annotated[
        str | None,
        typer.Option("--json", metavar="PATH", help="Write the evidence as JSON; - for stdout."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Test a published law, or one of your own, and give a verdict.

    Exit status: 0 AGREES, 1 DISAGREES, 3 INCONCLUSIVE, 2 bad usage.
    """
    with clear_errors(debug, lambda: _INTERRUPTED[all_laws]):
        _one_of(law, all_laws, no_report)
        effort = _effort(quick, full)
        output = Output(report, no_report, json_path, quiet)
        settings = _settings(seed, effort, data, classes)
        options = f" --data {data} --classes {classes} --seed {seed}"
        options += "" if effort == "standard" else f" --{effort}"
        options += " --certify" if certify else ""
        work = Work(settings, options, time_limit, certify)
        if law is None:
            from flowtheory.cli.verify_all import verify_all

            place = report or DEFAULT_REPORT / "atlas"
            code = verify_all(work, place, output, jobs, fresh)
        else:
            code = _verify_one(law, work, output)
    raise typer.Exit(code)


def _require_certificates(law: Law) -> None:
    from flowtheory.errors import ParameterError
    from flowtheory.laws.registry import LAWS
    from flowtheory.lower.certified import require_flint

    if not law.certificates:
        known = [name for name, other in LAWS.items() if other.certificates]
        raise ParameterError(
            f"no row of {law.name} can be certified",
            expected=f"a law with a closed form: {', '.join(known)}",
            fix="drop --certify",
        )
    require_flint()


_INTERRUPTED = {
    False: "nothing was written",
    True: "finished laws are kept; the same command goes on with the others",
}


def _one_of(law: str | None, all_laws: bool, no_report: bool) -> None:
    from flowtheory.errors import ParameterError

    if (law is None) != all_laws:
        both = "both a law and --all" if all_laws else "neither a law nor --all"
        raise ParameterError(
            f"{both} were given" if all_laws else f"{both} was given",
            expected="one of them",
            fix="flowtheory verify alignment-time, or flowtheory verify --all",
            more="flowtheory laws",
        )
    if all_laws and no_report:
        raise ParameterError(
            "--all and --no-report were both given",
            expected="at most one of them: the atlas is the report",
            fix="drop --no-report",
        )


def _effort(quick: bool, full: bool) -> str:
    from flowtheory.errors import ParameterError

    if quick and full:
        raise ParameterError(
            "--quick and --full were both given",
            expected="at most one of them",
            fix="drop one; without either the run takes under a minute",
        )
    return "quick" if quick else "full" if full else "standard"


def _settings(seed: int, effort: str, data: str, classes: str) -> Settings:
    from flowtheory.cli.data_option import load
    from flowtheory.laws.record import Effort, Settings

    Settings(seed=seed)  # before the images are read
    return Settings(seed, Effort(effort), load(data, classes))


def _verify_one(name: str, work: Work, output: Output) -> int:
    """Check everything that can be checked first, then verify, then write."""
    from dataclasses import replace

    from flowtheory.judge import Verdict
    from flowtheory.laws.load import find_law
    from flowtheory.report import check_writable
    from flowtheory.report.job import Job, run_job

    law = find_law(name)
    if work.certify:
        _require_certificates(law)
    target = None if output.no_report else (output.report or DEFAULT_REPORT / law.name)
    if target is not None:
        check_writable(target)
    output.check()
    command = f"flowtheory verify {name}{work.options}"
    with progress_bar(output.silent) as progress:
        settings = replace(work.settings, progress=progress)
        job = Job(name, settings, command, target, work.seconds, work.certify)
        document, paths = run_job(job)
    output.write(document)
    if not output.silent:
        from flowtheory.report import print_verification

        print_verification(stdout(), document, paths)
    return Verdict(document["verdict"]).exit_code
