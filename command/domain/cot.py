"""What is agreed in Cursor on Target, whoever reads or writes it.

Sources: "Cursor on Target Message Router User's Guide" (MITRE, MP 090284, 2009), appendix: the event schema 2.0; the
TAK protocol, version 1, in which a datagram to everybody begins with a mesh header.
"""

from __future__ import annotations

from typing import Final

MESH_HEADER: Final = b"\xbf\x01\xbf"
NOT_KNOWN: Final = 9_999_999.0
"""A height or an error that nobody knows; so is whatever is larger."""
