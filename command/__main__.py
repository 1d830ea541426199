"""The console script. It imports next to nothing itself, so that Ctrl-C is one line even while Python still imports."""

from __future__ import annotations

import sys

_INTERRUPTED = (
    130  # 128 and the number of SIGINT, as shells have it; the command line's library ends a verb with it too
)


def main() -> None:
    try:
        from command.cli import main as run  # noqa: PLC0415 - what takes a second to import is imported in here

        run()
    except KeyboardInterrupt:
        _end()
    except SystemExit as exc:
        if exc.code == _INTERRUPTED:
            _end()
        raise


def _end() -> None:
    sys.stderr.write("mizugiwa: interrupted\n")
    sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
