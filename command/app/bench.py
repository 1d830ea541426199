"""Measurements beside a peer: `mizugiwa bench NAME`, from a checkout."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from command.settings import BadSettings

CHECKOUT: Final = Path(__file__).parents[2]
FOLDER: Final = CHECKOUT / "tests" / "benchmarks"


def names() -> list[str]:
    """The benchmarks of this checkout; none where the program was installed from a wheel."""
    return sorted(path.stem.removeprefix("bench_").replace("_", "-") for path in FOLDER.glob("bench_*.py"))


def run_bench(name: str) -> dict[str, Any]:
    """{"name", "ours", "peer", "ratio", "machine"} of one benchmark. Raises BadSettings where there is none."""
    return {"name": name, **load_bench(name)(), "machine": machine()}


def load_bench(name: str) -> Callable[..., dict[str, Any]]:
    """The `measure` of a benchmark; what it needs beside it is importable by name. Raises BadSettings."""
    if name not in names():
        raise BadSettings(
            f"bench {name!r}: choose from {', '.join(names())}"
            if names()
            else "benchmarks need a checkout: clone the repository, run `make test` once, then `mizugiwa bench NAME`"
        )
    path = FOLDER / f"bench_{name.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadSettings(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    spec.loader.exec_module(module)
    measure: Callable[..., dict[str, Any]] = module.measure
    return measure


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.release()}
