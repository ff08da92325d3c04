"""How often the judge is wrong: every law with many seeds, and its wrong variants on each.

    python scripts/power.py [--seeds 20] [--jobs 2] [--effort quick] [LAW ...]

writes docs/laws/power.json, from which scripts/generate_docs.py makes docs/laws/power.md. Laws that
are not named keep what is stored. About half an hour for all laws at the quick effort on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from flowtheory.laws.registry import LAWS, get_law

STORED = Path(__file__).parents[1] / "docs" / "laws" / "power.json"


def counts(name: str, seeds: int, effort: str) -> dict[str, Any]:
    """How many runs of a law, and of each wrong variant, came out with each verdict."""
    from flowtheory.data import digits
    from flowtheory.laws import Effort, Settings, verify

    law, images = get_law(name), digits()
    verdicts: Counter[str] = Counter()
    variants: dict[str, Counter[str]] = {}
    for seed in range(seeds):
        found = verify(law, Settings(seed=seed, effort=Effort(effort), data=images))
        verdicts[found.verdict.value] += 1
        for variant, finding in found.controls.items():
            variants.setdefault(variant, Counter())[finding.verdict.value] += 1
    return {"verdicts": verdicts, "variants": variants}


def main() -> None:
    """Run what is asked for, two laws at once, and store the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("laws", nargs="*", default=list(LAWS), metavar="LAW")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--effort", choices=("quick", "standard", "full"), default="quick")
    asked = parser.parse_args()
    stored: dict[str, Any] = {"laws": {}}
    if STORED.is_file():
        stored = json.loads(STORED.read_text(encoding="utf-8"))
    stored["command"] = f"python scripts/power.py --seeds {asked.seeds} --effort {asked.effort}"
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, spawn, max_tasks_per_child=1) as pool:
        names = {pool.submit(counts, n, asked.seeds, asked.effort): n for n in asked.laws}
        for future in as_completed(names):
            stored["laws"][names[future]] = future.result()
            ordered = {name: stored["laws"][name] for name in LAWS if name in stored["laws"]}
            text = json.dumps(stored | {"laws": ordered}, indent=1, ensure_ascii=False)
            STORED.write_text(text + "\n", encoding="utf-8")
            print(names[future], dict(future.result()["verdicts"]), flush=True)


if __name__ == "__main__":
    main()
