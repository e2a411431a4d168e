"""Run the benchmarks, or those that are named: `python -m benchmarks store metrics`."""

from __future__ import annotations

import sys

from benchmarks import (
    browser,
    figures,
    finding,
    language_model,
    lazy,
    metrics,
    people,
    store,
    take_away,
)

SUITES = {
    "metrics": metrics.run,
    "figures": figures.run,
    "store": store.run,
    "finding": finding.run,
    "lazy": lazy.run,
    "browser": browser.run,
    "people": people.run,
    "take_away": take_away.run,
    "language_model": language_model.run,
    "corpus": language_model.run_corpus,
}


def main(names: list[str]) -> None:
    if unknown := set(names) - set(SUITES):
        sys.exit(f"No such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}.")
    for name in names or SUITES:
        print(f"\n{name}")
        for what, figure in SUITES[name]():
            print(f"  {what:<50} {figure}")


if __name__ == "__main__":
    main(sys.argv[1:])
