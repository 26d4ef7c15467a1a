"""The command line of the fuzzer."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.run import run


def main() -> int:
    """Run the cases; 1 where one breaks the law."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kind", help="of this kind alone")
    parser.add_argument("--only", type=int, help="this case alone; its folder is kept")
    given = parser.parse_args()
    numbers = range(given.cases) if given.only is None else [given.only]
    outcome = run(numbers, seed=given.seed, workers=given.workers, kind=given.kind, keep=given.only is not None)
    sys.stdout.write(outcome.text())
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
