"""Runs every benchmark, one after the other, and stores their results.

    python benchmarks/all.py [NAME ...] [--quick]

Then `python scripts/generate_docs.py docs/benchmarks.md` writes the page. Nothing else should run
on the machine. BLAS gets one thread: two are slower on small matrices, for ours and for the peers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = {
    "plateau": 170,
    "process": 55,
    "scaling": 300,
    "blow_up": 40,
    "kinked_flow": 130,
    "ensemble": 80,
    "late_times": 210,
    "phase_diagram": 60,
    "effective_flow": 5,
    "lowering": 45,
}
"""Of each on two quiet cores, all peers installed; the order in which they run."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> int:
    parser = argparse.ArgumentParser(description="All benchmarks, one after the other.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SECONDS)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: do they work?")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(SECONDS))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(SECONDS)}")
    # The scripts import the package from here, as they do when it is installed.
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": path} | dict.fromkeys(THREADS, "1")
    quick, failed, began = ["--quick"] * options.quick, [], time.perf_counter()
    for name in options.names or SECONDS:
        about = "" if options.quick else f", about {SECONDS[name]} s"
        print(f"\n== {name}{about}", flush=True)
        line = [sys.executable, str(HERE / f"{name}.py"), "--json", *quick]
        start = time.perf_counter()
        if subprocess.run(line, env=environment, check=False).returncode:
            failed.append(name)
        print(f"== {name}: {time.perf_counter() - start:.0f} s", flush=True)
    print(f"\nall: {time.perf_counter() - began:.0f} s; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
