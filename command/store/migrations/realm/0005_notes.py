"""Notes that people place on the map, versioned: each change is a new row, so that each can be undone."""

from alembic import op

revision = "realm_0005"
down_revision = "realm_0004"

NOTES = """
CREATE TABLE note_version (
    note_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 500),
    position geometry(Point, 4326) NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    expires_at timestamptz,
    removed boolean NOT NULL,
    revision bigint NOT NULL UNIQUE,
    PRIMARY KEY (note_id, version)
);
INSERT INTO sequencer (name, seq) VALUES ('note', 0);
"""

APPEND_ONLY = (
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON note_version "
    "FOR EACH ROW EXECUTE FUNCTION shared.refuse_change()",
    "CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON note_version "
    "FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change()",
)


def upgrade() -> None:
    for part in (NOTES, *APPEND_ONLY):
        op.execute(part)
