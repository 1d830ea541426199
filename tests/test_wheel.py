"""The built wheel is whole: it works from another folder, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(repository)],
        check=True,
        capture_output=True,
        timeout=240,
    )
    (built,) = out.glob("mizugiwa-*.whl")
    return built


def test_the_wheel_has_every_file_that_the_program_reads(repository: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "command", "sensors", "vision", "maps", "alerts", "dashboards"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    missing = {name for name in tracked if not name.startswith("dashboards/map/") and name not in packed}
    assert missing == set()
    assert any(name.startswith("dashboards/assets/map/") and name.endswith(".js") for name in packed)
    fonts = ("NotoSansJP-Regular.ttf", "NotoSansJP-Bold.ttf", "OFL.txt")
    assert packed >= {f"command/documents/fonts/{name}" for name in fonts}


def test_the_wheel_carries_the_whole_licence(repository: Path, wheel: Path) -> None:
    text = (repository / "LICENSE").read_bytes()
    assert text.split()[:7] == b"GNU AFFERO GENERAL PUBLIC LICENSE Version 3,".split()
    assert b"END OF TERMS AND CONDITIONS" in text
    with zipfile.ZipFile(wheel) as archive:
        (packed,) = (name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
        assert archive.read(packed) == text


def test_the_program_answers_from_the_wheel_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    # given the wheel alone, unpacked where no checkout is near
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # when the program runs with it before everything else
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import command.cli, dashboards, maps, pathlib; "
            "print(pathlib.Path(command.cli.__file__).parent.parent); command.cli.main(['--help'])",
        ],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # then it is the wheel's own code, and it knows its verbs
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(target)
    for verb in ("up", "gateway", "intake", "dispatch", "web", "responder", "replay", "doctor", "drill"):
        assert verb in done.stdout
