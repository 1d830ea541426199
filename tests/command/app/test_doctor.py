"""The doctor looks at keys and makes none."""

from __future__ import annotations

from pathlib import Path

from command.app.doctor import examine_machine
from command.operations.keys import AUDIT_KEY, CODES_KEY, audit_key, codes_key
from command.settings import load_settings


def test_a_key_that_others_can_read_is_found_and_one_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "mizugiwa.toml"
    file.write_text(f"data_dir = '{tmp_path}/data'\n", "utf-8")
    settings = load_settings(file)

    def keys() -> dict[str, bool]:
        return {each.what: each.well for each in examine_machine(settings) if each.what.endswith(".key")}

    assert keys() == {}
    assert not settings.keys_dir.exists()
    audit_key(settings.keys_dir)
    codes_key(settings.keys_dir)
    (settings.keys_dir / CODES_KEY).chmod(0o640)
    assert keys() == {AUDIT_KEY: True, CODES_KEY: False}
