"""/ws/tracks on the wire: frames of a real server, read by the layout that the protocol states."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from command.domain.people import Role
from command.operations.picture import AGGREGATE_DTYPE, RECORD_DTYPE

HEAD = struct.Struct("<BBHIdQ")
NORTH = [129.0, 34.0, 130.0, 35.0]


class Reader:
    """A screen: it keeps the last of each message, as the map's own feed does."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.names: dict[int, tuple[str, str]] = {}
        self.told: dict[str, Any] = {}

    def look(self, bbox: list[float], zoom: float) -> None:
        self.socket.send(json.dumps({"type": "view", "bbox": bbox, "zoom": zoom}))

    def frame(self, *kinds: int) -> tuple[int, int, float, int, bytes]:
        """The next binary frame of one of these kinds: kind, count, realm ms, seq, records."""
        for _ in range(80):
            message = self.socket.recv(timeout=20)
            if isinstance(message, str):
                body = json.loads(message)
                self.told[body["type"]] = body
                for handle, track_id, label in body.get("tracks", ()):
                    self.names[handle] = (track_id, label)
                continue
            version, kind, _, count, realm_ms, seq = HEAD.unpack_from(message)
            assert version == 1
            if kind in kinds:
                return kind, count, realm_ms, seq, message[HEAD.size :]
        pytest.fail(f"no frame of the kinds {kinds} in 80 messages")


@contextmanager
def screen(web: Any) -> Iterator[Reader]:
    with web.signed_in() as client, web.socket(client, "/ws/tracks") as socket:
        yield Reader(socket)


def test_a_screen_sees_a_vessel_at_two_places_at_two_times(web: Any) -> None:
    # given a vessel in view and one that is not
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel, web.vessel(431000002, 140.0, 35.0)])
    with screen(web) as reader:
        # when the screen looks
        reader.look(NORTH, 9.0)
        count = 0
        while not count:
            _, count, realm_ms, seq, body = reader.frame(1, 2)
        records = np.frombuffer(body, RECORD_DTYPE)
        # then it gets the one in view, by name, in the realm's time and as of a flush
        assert count == len(records) == 1
        assert records["lon_e7"].tolist() == [1_293_000_000]
        assert reader.names[int(records["handle"][0])] == (str(vessel.track_id), "KAIYO MARU")
        assert abs(realm_ms - web.clock.now_us() / 1_000) < 10_000
        assert seq >= 1
        # when the vessel moves, then the screen has it at the other place
        web.put_tracks([web.vessel(431000001, 129.35, 34.2, name="KAIYO MARU")])
        _, _, _, later, body = reader.frame(2)
        assert np.frombuffer(body, RECORD_DTYPE)["lon_e7"].tolist() == [1_293_500_000]
        assert later > seq


def test_below_zoom_six_a_screen_gets_cells(web: Any, eventually: Callable[..., None]) -> None:
    web.put_tracks([web.vessel(431000000 + i, 129.0 + i / 100, 34.2) for i in range(40)])
    eventually(lambda: len(web.console.picture) == 40)
    with screen(web) as reader:
        reader.look([120.0, 25.0, 150.0, 46.0], 4.5)
        _, count, _, _, body = reader.frame(3)
    cells = np.frombuffer(body, AGGREGATE_DTYPE)
    assert len(cells) == count
    assert cells["count"].sum() == 40
    # and the counts by group for the chips came before them
    assert reader.told["counts"]["of"]["vessels"] == 40
    assert reader.told["counts"]["of"]["ours"] == 0
    assert reader.told["counts"]["hidden"] == 0


def test_a_screen_hears_the_clock_every_second_though_nothing_moves(web: Any) -> None:
    with screen(web) as reader:
        times = [reader.frame(5)[2] for _ in range(4)]
    steps = np.diff(times)
    assert (steps > 0).all()
    assert steps.max() < 5_000


def test_a_screen_is_told_to_read_the_alerts_again(web: Any, eventually: Callable[..., None]) -> None:
    vessel = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([vessel])
    eventually(lambda: len(web.console.picture) == 1)
    with screen(web) as reader:
        reader.frame(5)
        before = reader.told["alerts"]["revision"]
        web.raise_alert(vessel)

        def told() -> bool:
            reader.frame(5)
            return bool(reader.told["alerts"]["revision"] > before)

        eventually(told)
        # and the track carries the flag of an open alert
        reader.look(NORTH, 9.0)
        _, _, _, _, body = reader.frame(1)
    assert np.frombuffer(body, RECORD_DTYPE)["flags"].tolist() == [4]


def test_a_screen_is_told_of_incidents_where_its_person_may_read_them(
    web: Any, eventually: Callable[..., None]
) -> None:
    with (
        web.signed_in() as officer,
        web.signed_in(Role.PILOT) as pilot,
        web.socket(officer, "/ws/tracks") as of_officer,
        web.socket(pilot, "/ws/tracks") as of_pilot,
    ):
        # given an officer's screen and a pilot's
        reader, other = Reader(of_officer), Reader(of_pilot)
        reader.frame(5)
        before = reader.told["incidents"]["revision"]
        # when an incident is opened
        opening = {"type": "other", "title": "漂流物", "severity": "low", "position": {"lon": 129.3, "lat": 34.2}}
        assert officer.post("/api/incidents", json=opening).status_code == 201

        # then the officer's screen is told to read them again, and the pilot's never hears of them
        def told() -> bool:
            reader.frame(5)
            return bool(reader.told["incidents"]["revision"] > before)

        eventually(told)
        other.frame(5)
        other.frame(5)
    assert "alerts" in other.told
    assert "incidents" not in other.told


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        "[]",
        '{"type":"fly"}',
        '{"type":"view","bbox":[0,0,1],"zoom":3}',
        '{"type":"view","bbox":[0,0,1,1],"zoom":"x"}',
        '{"type":"view","bbox":[0,0,1,1],"zoom":99}',
        '{"type":"view","bbox":[0,0,1,1],"zoom":3,"hide":["whales"]}',
        '{"type":"view","bbox":[0,0,1,1],"zoom":3,"hide":5}',
        '{"type":"as_of","at_ms":1e300}',
    ],
)
def test_a_message_that_cannot_be_used_is_answered_and_the_screen_goes_on(web: Any, message: str) -> None:
    with screen(web) as reader:
        reader.socket.send(message)
        while "error" not in reader.told:
            reader.frame(5)
        assert reader.told["error"]["detail"]
        reader.look(NORTH, 9.0)
        assert reader.frame(1)[0] == 1


def test_a_message_over_the_limit_ends_the_connection(web: Any) -> None:
    with screen(web) as reader:
        reader.socket.send(json.dumps({"type": "view", "pad": "x" * 5_000}))
        with pytest.raises(ConnectionClosed) as ended:
            reader.frame(6)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4400


def test_a_screen_lives_through_the_loss_of_the_database(web: Any, eventually: Callable[..., None]) -> None:
    # given a screen that shows a vessel
    web.put_tracks([web.vessel(431000001, 129.3, 34.2)])
    eventually(lambda: len(web.console.picture) == 1)
    with screen(web) as reader, web.signed_in() as client:
        assert client.get("/api/pulse").json()["store"]["connected"]
        reader.look(NORTH, 9.0)
        reader.frame(1)
        # when the database goes away
        web.lose_database()
        eventually(lambda: not client.get("/api/pulse").json()["store"]["connected"])
        # then the connection and the picture stay, and the console says since when
        reader.frame(5)
        assert client.get("/api/pulse").json()["tracks"] == 1
        assert client.get("/api/health").json()["database"]["connected"] is False
        answer = client.post("/api/alerts/00000000-0000-0000-0000-000000000000/acknowledge", json={"comment": ""})
        assert answer.status_code == 503
        # when it comes back, then the picture goes on by itself
        web.restore_database()
        web.put_tracks([web.vessel(431000001, 129.4, 34.2)])
        _, _, _, _, body = reader.frame(2)
        assert np.frombuffer(body, RECORD_DTYPE)["lon_e7"].tolist() == [1_294_000_000]
        eventually(lambda: client.get("/api/pulse").json()["store"]["connected"])
