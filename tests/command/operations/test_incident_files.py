"""Files that may be attached: known by their bytes, named for people, never a path."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.incident_acts import NAME_LIMIT, IncidentRefused
from command.operations.incident_files import MAX_FILE_BYTES, MEDIA_TYPES, checked_file, shown_name, sniffed


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", None),
        (b"II*\x00\x08\x00\x00\x00", "image/tiff"),
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00", "video/mp4"),
        ("緯度,経度\r\n34.2,129.3\r\n".encode(), "text/plain"),
        ("緯度".encode("shift_jis"), None),
        (b"a\x00b", None),
        (b"MZ\x90\x00", None),
        (b"PK\x03\x04", None),
        (b"GIF89a\x01\x00", None),
    ],
)
def test_a_file_is_what_its_first_bytes_say(content: bytes, media_type: str | None) -> None:
    assert sniffed(content) == media_type


@given(st.binary(max_size=64))
def test_no_bytes_are_taken_for_a_type_that_is_not_allowed(content: bytes) -> None:
    assert sniffed(content) in (*MEDIA_TYPES, None)


@given(
    st.text(max_size=300)
    | st.sampled_from(["../../etc/passwd", "..\\..\\x", "C:\\a.txt", "/", "...", "a\u202egnp.exe"])
)
def test_no_name_is_a_path_or_hides_what_it_is(name: str) -> None:
    shown = shown_name(name)
    assert 0 < len(shown) <= NAME_LIMIT
    assert not set(shown) & set('/\\:*?"<>|')
    assert shown not in (".", "..")
    assert not shown.startswith(".")
    assert all(unicodedata.category(c)[0] != "C" for c in shown)


def test_what_is_too_large_is_refused_with_its_size() -> None:
    with pytest.raises(IncidentRefused) as refused:
        checked_file("a.txt", b"a" * (MAX_FILE_BYTES + 1))
    assert refused.value.params == {"given": "10.0", "limit": 10}
