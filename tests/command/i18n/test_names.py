"""What people call a subject, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from command.i18n.names import Names


@pytest.mark.parametrize(
    ("subject", "attributes", "japanese", "english"),
    [
        ("mmsi:431909001", {}, "MMSI 431909001", "MMSI 431909001"),
        ("mmsi:431909001", {"name": "第八海進丸"}, "第八海進丸", "第八海進丸"),
        ("contact:5d1f", {"label": "C11-100-0-1"}, "AIS未受信目標 C11-100-0-1", "Dark contact C11-100-0-1"),
        ("contact:5d1f", {}, "AIS未受信目標 5d1f", "Dark contact 5d1f"),
        ("mavlink:5d1f", {"label": "MAV 11"}, "ドローン MAV 11", "Drone MAV 11"),
        ("source:ais-izuhara", {}, "情報源 ais-izuhara", "Source ais-izuhara"),
        ("label:5d1f", {"label": "ferry-3"}, "ferry-3", "ferry-3"),
        ("watch:izuhara", {}, "izuhara", "izuhara"),
        ("", {}, "", ""),
    ],
)
def test_a_subject_is_called_in_words(subject: str, attributes: Mapping[str, Any], japanese: str, english: str) -> None:
    assert Names().of(subject, attributes) == {"ja": japanese, "en": english}


def test_our_own_asset_goes_by_its_name_whatever_it_sends() -> None:
    names = Names({"mavlink:5d1f": {"ja": "哨戒ドローン1号", "en": "Patrol drone 1"}})

    assert names.of("mavlink:5d1f", {"name": "X", "label": "MAV 11"})["ja"] == "哨戒ドローン1号"
    assert names.ours("mavlink:5d1f")
    assert not names.ours("mmsi:431909001")
