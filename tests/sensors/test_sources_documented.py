"""Nobody has to read code to plug in a feed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensors.registry import SOURCES, source_class


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_every_setting_of_a_source_is_documented(repository: Path, kind: str) -> None:
    text = (repository / "docs" / "sources.md").read_text("utf-8")
    missing = [name for name in source_class(kind).Config.model_fields if f"`{name}`" not in text]
    assert missing == []
