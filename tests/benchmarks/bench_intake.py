"""`intake`: what it costs to bring AIS sentences from bytes to committed rows, beside only decoding them with pyais.

Ours: the real processes `gateway` (source ais, from a named pipe, so that both are warm when the first byte comes) and
`intake` of the live realm, on a private RabbitMQ and a private PostGIS. Every sentence is received now: recorded tag
blocks are left out. Peer: pyais puts together and decodes the same sentences, in this process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Final

import pyais
import pyais.exceptions
import pyais.stream
from sentences import FILES, distinct_messages, side_by_side
from stage import BenchFailed, CommitWatch, Stage, stage, used_between

from command.domain.health import SourceHealth

RECORDINGS: Final = Path(__file__).parents[3] / "shared" / "data" / "ais"
ENDED_WITHIN_S: Final = 300.0


def measure(sentences: int = 200_000) -> dict[str, Any]:
    """{"ours", "peer", "ratio", "input"}; ratio is our whole CPU over the peer's. Raises BenchFailed."""
    missing = [name for name in FILES if not (RECORDINGS / name).is_file()]
    if missing:
        raise BenchFailed(f"the recordings {', '.join(missing)} are not in {RECORDINGS}; put them there")
    messages = distinct_messages(RECORDINGS)
    lines = list(islice(side_by_side(messages, sentences), sentences))
    before = peer(lines)
    ours = run(lines)
    after = peer(lines)
    peer_cpu_s = (before["cpu_s"] + after["cpu_s"]) / 2
    return {
        "ours": ours,
        "peer": {
            "name": f"pyais {pyais.__version__}: assemble and decode, nothing else",
            "cpu_s": round(peer_cpu_s, 2),
            "cpu_s_before_and_after_ours": [before["cpu_s"], after["cpu_s"]],
            "decoded": after["decoded"],
            "sentences_per_cpu_s": round(len(lines) / peer_cpu_s),
        },
        "ratio": round(ours["cpu_s"] / peer_cpu_s, 2),
        "input": {
            "sentences": len(lines),
            "distinct_messages": len(messages),
            "distinct_lines": len({part.line for message in messages for part in message}),
            "bytes": sum(map(len, lines)) + len(lines),
        },
        "aims": {"sentences_per_s_at_least": 5_000, "ratio_at_most": 4.0},
    }


def peer(lines: Sequence[bytes]) -> dict[str, Any]:
    """pyais over all sentences: CPU seconds, and how many messages it decoded."""
    decoded = 0
    began_s = process_time()
    for message in pyais.stream.IterMessages(lines):
        try:
            message.decode()
        except pyais.exceptions.AISBaseException:
            continue
        decoded += 1
    return {"cpu_s": round(process_time() - began_s, 2), "decoded": decoded}


def run(lines: Sequence[bytes]) -> dict[str, Any]:
    """The whole way of the data, once. Raises BenchFailed where a count does not add up."""
    settings = '[[sources]]\nkind = "ais"\nname = "bench"\nendpoint = "file://{pipe}"\n'
    with stage(settings) as here:
        pipe = here.data_dir / "ais.pipe"
        os.mkfifo(pipe)
        config = here.data_dir / "mizugiwa.toml"
        config.write_text(settings.format(pipe=pipe), "utf-8")
        here.start("intake", "gateway")
        with CommitWatch(here) as commits:
            used_before, began_s = here.cpu_s(), monotonic()
            with pipe.open("wb") as feed:
                feed.write(b"\n".join(lines) + b"\n")
            here.wait_until(lambda: _all_settled(here, len(lines)), within_s=ENDED_WITHIN_S, what="not all was stored")
            used = used_between(used_before, here.cpu_s())
        source, beat = here.source(), here.heartbeats()["intake"]
        if source is None:
            raise BenchFailed("the source's health is gone")
        return _told(here, lines, source, dict(beat.detail), used, wall_s=commits.last_s - began_s)


def _all_settled(here: Stage, sentences: int) -> bool:
    """Whether the gateway read all and intake has answered for every observation of it."""
    source = here.source()
    if source is None or source.state != "finished" or source.messages_in < sentences:
        return False
    beat = here.heartbeats()["intake"]
    return int(beat.detail["rows"]) >= source.observations and here.waiting() == 0


def _told(
    here: Stage,
    lines: Sequence[bytes],
    source: SourceHealth,
    intake: dict[str, Any],
    used: dict[str, float],
    *,
    wall_s: float,
) -> dict[str, Any]:
    rows, rejected = here.observations(), sum(source.rejected.values())
    if source.messages_in != source.decoded + rejected + source.duplicates:
        raise BenchFailed(f"{source.messages_in} sentences in, but {source.decoded}+{rejected}+{source.duplicates}")
    if rows != source.observations - intake["duplicates"] or sum(source.shed.values()):
        raise BenchFailed(f"{rows} rows stored of {source.observations} published; shed: {source.shed}")
    total_s = sum(used.values())
    return {
        "sentences_per_s": round(len(lines) / wall_s),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(total_s, 2),
        "cpu_s_by_process": used,
        "cpu_us_per_sentence": round(total_s / len(lines) * 1e6, 1),
        "messages_in": source.messages_in,
        "decoded": source.decoded,
        "rejected": dict(source.rejected),
        "duplicates": source.duplicates,
        "rows_committed": rows,
        "tracks": here.tracks(),
        "intake": intake["counts"],
    }
