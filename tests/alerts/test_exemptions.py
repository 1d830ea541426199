"""Who is left alone, and until when."""

from __future__ import annotations

import pytest

from alerts.exemptions import Exemption, ExemptionList

ALLOWED = Exemption(subject="mmsi:431000001", rule=None, expires_at_us=1_000)
ONE_RULE = Exemption(subject="mmsi:431000002", rule="ais_gap", expires_at_us=1_000)


@pytest.fixture
def exemptions() -> ExemptionList:
    return ExemptionList(assets=["mavlink:5d1f"], exemptions=[ALLOWED, ONE_RULE])


@pytest.mark.parametrize(
    ("subject", "rule", "now_us", "covered"),
    [
        ("mavlink:5d1f", "geofence_entry", 10**12, True),
        ("mmsi:431000001", "geofence_entry", 999, True),
        ("mmsi:431000001", "geofence_entry", 1_000, False),
        ("mmsi:431000002", "ais_gap", 999, True),
        ("mmsi:431000002", "geofence_entry", 999, False),
        ("mmsi:431000003", "ais_gap", 0, False),
        ("mavlink:5d1f", "distress", 0, False),
        ("mmsi:431000001", "distress", 0, False),
    ],
)
def test_an_asset_always_and_an_entry_until_it_expires(
    exemptions: ExemptionList, subject: str, rule: str, now_us: int, covered: bool
) -> None:
    assert exemptions.covers(subject, rule=rule, now_us=now_us) is covered


def test_of_two_entries_for_one_subject_the_longer_holds() -> None:
    longer = Exemption(subject=ALLOWED.subject, rule=None, expires_at_us=2_000)

    for entries in ([ALLOWED, longer], [longer, ALLOWED]):
        assert ExemptionList(exemptions=entries).covers(ALLOWED.subject, rule="ais_gap", now_us=1_500)


def test_only_an_entry_that_names_distress_covers_it() -> None:
    named = Exemption(subject="mmsi:970000001", rule="distress", expires_at_us=1_000)

    assert ExemptionList(exemptions=[named]).covers("mmsi:970000001", rule="distress", now_us=0)
