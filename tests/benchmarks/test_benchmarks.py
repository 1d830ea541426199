"""The benchmarks run and their counts add up, on tiny inputs, in `make test-soak`. Nothing here is timed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyais
import pytest
from pyais.stream import IterMessages

from command.app.bench import load_bench, names, run_bench
from command.settings import BadSettings


@pytest.fixture
def benchmarks() -> None:
    """What the benchmarks have beside them can be imported as they import it."""
    for name in names():
        load_bench(name)


@pytest.mark.soak
def test_intake_counts_every_sentence_and_gives_its_cost_beside_the_peers(shared_data: Path) -> None:
    told = load_bench("intake")(sentences=3_800)
    ours, peer = told["ours"], told["peer"]
    assert ours["messages_in"] == 3_800 == ours["decoded"] + sum(ours["rejected"].values()) + ours["duplicates"]
    assert 0 < ours["rows_committed"] < ours["decoded"]
    assert ours["sentences_per_s"] > 0
    assert ours["cpu_s_by_process"].keys() == {"gateway", "intake", "rabbitmq", "postgresql"}
    used = ours["cpu_s_by_process"]  # in hundredths of a second, of which the broker may need none for so few
    assert all(seconds > 0 for name, seconds in used.items() if name != "rabbitmq")
    assert peer["decoded"] > 3_000
    assert told["ratio"] > 0


@pytest.mark.soak
def test_alert_latency_finds_an_alert_for_each_vessel_that_enters_and_no_datagram_missing() -> None:
    told = load_bench("alert-latency")(seconds=13, per_second=40)
    ours, peer = told["ours"], told["peer"]
    assert ours["alerts"] == 3
    assert ours["counts"] == {"sent": 520, "committed": 520, "rejected": {}, "duplicates": 0, "shed": {}}
    for one in (ours, peer):
        assert 0 < one["p50_ms"] <= one["p99_ms"] <= one["max_ms"]
    assert peer["received"] == peer["confirmed"] == peer["messages"] == 520
    assert told["ratio"] > 0


QUICK = """
[route]
group_by = ["rule", "area"]
group_wait = "1s"
group_interval = "4s"
"""


@pytest.mark.soak
def test_a_small_storm_is_told_whole_in_few_messages_and_its_account_adds_up(server_dir: Callable[[str], Path]) -> None:
    policy = server_dir("storm") / "alerts.toml"
    policy.write_text(QUICK, "utf-8")
    ours = load_bench("storm")(alerts=400, seconds=1, rules=4, areas=5, watch_s=0.0, policy_file=policy)["ours"]
    assert ours["account"]["taken"] == ours["alerts"] == 400
    assert ours["critical"]["alerts"] == 2
    assert 22 <= ours["messages"] <= ours["messages_allowed"]
    assert {fate: count for fate, count in ours["account"].items() if count} == {
        "taken": 400,
        "delivered": ours["account"]["delivered"],
        "grouped": 400 - ours["account"]["delivered"],
    }


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_storm_keeps_its_bounds() -> None:
    told = load_bench("storm")()
    ours, aims = told["ours"], told["aims"]
    assert ours["account"]["taken"] == 20_000
    assert ours["critical"]["max_ms"] <= aims["critical_max_ms"]
    assert ours["rss_slope_mb_per_min"] <= aims["rss_slope_mb_per_min"]


@pytest.mark.soak
def test_console_sees_every_vessel_on_the_page_and_each_report_reaches_every_screen() -> None:
    told = load_bench("console")(vessels=60, near=20, look_s=3.0, consoles=3, watch_s=8.0)
    page, peer = told["ours"]["page"], told["peer"]["page"]
    for one in (page["near"], page["all"], peer["near"], peer["all"]):
        assert one["updates"] > 0
        assert one["script_ms_per_update"] > 0
    assert page["near"]["bytes_per_update"] < page["all"]["bytes_per_update"] < peer["all"]["bytes_per_update"]
    screens = told["ours"]["consoles"]
    assert screens["connections"] == 3
    assert screens["reports"] >= 3 * 20
    assert 0 < screens["p50_ms"] <= screens["p99_ms"] <= screens["max_ms"]
    assert told["ours"]["counts"] == {"received": told["ours"]["counts"]["received"], "rejected": {}, "shed": {}}
    assert told["ours"]["counts"]["received"] > 60 * 10


@pytest.mark.usefixtures("benchmarks")
def test_the_fleets_datagrams_say_who_where_and_which_report() -> None:
    import fleet

    ships = fleet.Fleet(count=50, near=10)
    places = ships.places(371)
    for vessel, line in enumerate(ships.lines(371)):
        told = pyais.decode(line.strip()).asdict()
        assert (told["mmsi"], told["heading"]) == (fleet.FIRST_MMSI + vessel, 11)
        assert abs(told["lon"] - places[vessel, 0]) < 1e-5
        assert abs(told["lat"] - places[vessel, 1]) < 1e-5
        assert abs(told["course"] - places[vessel, 2]) <= 0.05


def test_a_benchmark_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(BadSettings, match=r"choose from alert-latency, console, intake, relay"):
        run_bench("speed")


@pytest.mark.usefixtures("benchmarks")
def test_fleets_say_what_was_recorded_under_identities_of_their_own(shared_data: Path) -> None:
    import sentences

    messages = sentences.distinct_messages(shared_data / "ais")
    assert len({part.line for message in messages for part in message}) == 3_745
    fleets = list(sentences.side_by_side(messages, 2 * 3_745 - 100))
    recorded: list[dict[str, Any]] = []
    shifted: list[dict[str, Any]] = []
    for message in IterMessages(list(islice(fleets, 800))):
        (recorded if len(recorded) == len(shifted) else shifted).append(_fields(message))
    for first, second in zip(recorded, shifted, strict=False):
        assert first.pop("mmsi") != second.pop("mmsi")
        assert first == second


def _fields(message: Any) -> dict[str, Any]:
    try:
        told: dict[str, Any] = message.decode().asdict()
    except pyais.exceptions.AISBaseException:
        return {"mmsi": object()}
    return {name: repr(value) for name, value in told.items()}


@pytest.mark.usefixtures("benchmarks")
def test_each_vessel_enters_once_and_its_report_before_is_outside() -> None:
    import sea

    told = sea.reports(seconds=30, per_second=200)
    west, entered = sea.FENCE.bounds[0], 0
    for turn in (1, 2):
        for second in told[turn * 10 : turn * 10 + 10]:
            for report in second:
                if report.enters:
                    entered += 1
                    before = next(r for r in told[report.second - 10] if r.mmsi == report.mmsi)
                    lons = [pyais.decode(r.line).asdict()["lon"] for r in (before, report)]
                    assert lons[0] < west < lons[1]
    assert entered == 2 * 2 * 10


@pytest.mark.soak
def test_relay_marks_every_row_once_its_message_is_in_a_queue_and_each_alert_reaches_the_team() -> None:
    told = load_bench("relay")(deliveries=240, seconds=1, per_second=40)
    ours, peer = told["ours"], told["peer"]
    assert ours["marked"] == ours["queued"] == 240
    assert ours["per_s"] > 0
    assert peer["per_s"] > 0
    assert ours["latency"]["alerts"] == 40
    assert 0 < ours["latency"]["p50_ms"] <= ours["latency"]["p99_ms"] <= ours["latency"]["max_ms"]
