"""`python -m benchmarks.large`: one thread for every library that would start its own."""

from __future__ import annotations

import os
import sys

# Read by the libraries when they are loaded, so before anything of ours is imported.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

if __name__ == "__main__":
    from benchmarks.large.command import main

    sys.exit(main())
