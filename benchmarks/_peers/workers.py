"""The driver's side of the workers: started when first needed, asked in turns."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class RefusedError(Exception):
    """What a worker couldn't do."""


class Workers:
    """One process per library, whose error streams go to files in a folder."""

    def __init__(self, python: Path, core: int, folder: Path):
        self.python, self.core, self.folder = python, core, folder
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def ask(self, module: str, **order: Any) -> dict[str, Any]:
        """A worker's answer.

        **Raises:** `RefusedError` with what went wrong there.
        """
        process = self.processes.get(module) or self._start(module)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            del self.processes[module]
            raise RefusedError(f"the worker ended with {process.wait()}")
        answer = json.loads(line)
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        return answer

    def forget(self) -> None:
        """Let every worker free what it prepared."""
        for module in list(self.processes):
            self.ask(module, do="forget")

    def close(self) -> None:
        """End all."""
        for process in self.processes.values():
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        self.processes = {}

    def _start(self, module: str) -> subprocess.Popen[str]:
        paths = [str(ROOT / "src"), str(ROOT / "benchmarks")]
        settings = {
            "PYTHONPATH": os.pathsep.join(paths),
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / "xla"),
        }
        with (self.folder / f"{module}.log").open("w") as log:
            self.processes[module] = subprocess.Popen(
                [self.python, "-m", "_peers.serve", f"by_{module}", str(self.core)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | settings,
                text=True,
            )
        return self.processes[module]
