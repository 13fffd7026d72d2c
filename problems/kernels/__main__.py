"""python -m problems.kernels: build the libraries of all folders `kernels` of the checkout, and say where they lie."""

from __future__ import annotations

import sys
from time import perf_counter

from problems.kernels import BuildError, build, every


def main() -> int:
    try:
        for kernels in every():
            start = perf_counter()
            where = kernels.ready() or f"{kernels.folder}: not kept, for no cache folder can be used"
            print(f"{where} ({build.compiler()[1]}, {perf_counter() - start:.1f} s)")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
