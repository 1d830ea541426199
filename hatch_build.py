"""Builds the map bundle into the wheel: it is made from dashboards/map and never committed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MapBundle(BuildHookInterface):  # type: ignore[type-arg] # generic only for the type checker of hatchling itself
    """Runs deploy/bundle.sh before a wheel is packed; an editable install gets its bundle from `make up`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        subprocess.run(
            ["sh", str(Path(self.root) / "deploy" / "bundle.sh")],
            check=True,
            env={**os.environ, "PYTHON": sys.executable},
        )
