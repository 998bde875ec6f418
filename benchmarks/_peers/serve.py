"""A worker: one library, on one core, that prepares and runs what it is asked to, a round at a time.

    python -m _peers.serve MODULE CORE

reads orders and writes answers, one JSON object a line. What libraries print goes to the error stream.
"""

import gc
import importlib
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from _timing import machine, pin

# Seconds that a round should take at least: shorter runs are repeated.
LEAST = 0.15


def main() -> None:
    """Answer until the input ends."""
    module, core = sys.argv[1], int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pin(core)
    variants = importlib.import_module(f"_peers.{module}").VARIANTS
    prepared: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line), variants, prepared)
        except Exception as error:
            traceback.print_exc()
            answer = {"refused": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)


def _answer(order: dict[str, Any], variants: dict[str, Any], prepared: dict[str, Any]) -> Any:
    if order["do"] == "describe":
        return machine(order["packages"])
    if order["do"] == "prepare":
        run, facts = variants[order["variant"]](order["sizes"])
        run()  # Compiles.
        repeats = min(50, math.ceil(LEAST / max(_seconds(run), 1e-6)))
        prepared[order["as"]] = run, repeats
        return facts
    if order["do"] == "forget":
        prepared.clear()
        gc.collect()
        return {}
    run, repeats = prepared[order["as"]]
    gc.collect()
    begun = time.perf_counter()
    said = [run() for _ in range(repeats)]
    elapsed = time.perf_counter() - begun
    # A variant that knows better than its wall time, of set-up for one, says its own seconds.
    own = [one["seconds"] for one in said if isinstance(one, dict)]
    return {"seconds": sum(own or [elapsed]) / repeats}


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
