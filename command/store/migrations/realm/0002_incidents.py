"""Incidents: the projection, the log that it is the sum of, attachments by their hash, and requests that came before.

Names are unqualified, as in 0001.
"""

from alembic import op

revision = "realm_0002"
down_revision = "realm_0001"

INCIDENTS = """
CREATE TABLE incident (
    incident_id uuid PRIMARY KEY,
    number text NOT NULL UNIQUE CHECK (number ~ '^[0-9]{4}-[0-9]{4,}$'),
    revision integer NOT NULL CHECK (revision > 0),
    entries integer NOT NULL CHECK (entries >= revision),
    type text NOT NULL,
    title text NOT NULL,
    severity smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    state text NOT NULL
        CHECK (state IN ('open', 'responding', 'monitoring', 'transferred', 'closed', 'merged')),
    owner text,
    participants text[] NOT NULL,
    place text NOT NULL,
    position geometry(Point, 4326),
    alerts uuid[] NOT NULL,
    tracks uuid[] NOT NULL,
    areas text[] NOT NULL,
    tasks jsonb NOT NULL,
    attachments jsonb NOT NULL,
    opened_by text NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    closed_at timestamptz,
    merged_into uuid REFERENCES incident,
    split_from uuid REFERENCES incident,
    CHECK ((state = 'merged') = (merged_into IS NOT NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL) OR state = 'merged')
);
CREATE INDEX incident_opened_at ON incident (opened_at DESC, incident_id);
CREATE INDEX incident_open ON incident (opened_at DESC, incident_id) WHERE state NOT IN ('closed', 'merged');
CREATE INDEX incident_alerts ON incident USING gin (alerts);
CREATE INDEX incident_tracks ON incident USING gin (tracks);
CREATE INDEX incident_merged_into ON incident (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE incident_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES incident,
    entry integer NOT NULL CHECK (entry > 0),
    revision integer NOT NULL CHECK (revision > 0),
    kind text NOT NULL,
    actor text NOT NULL,
    observed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    detail jsonb NOT NULL,
    UNIQUE (incident_id, entry)
);

CREATE TABLE incident_number (year integer PRIMARY KEY, last integer NOT NULL CHECK (last > 0));

CREATE TABLE attachment_content (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    content bytea NOT NULL CHECK (octet_length(content) > 0),
    recorded_at timestamptz NOT NULL
);
ALTER TABLE attachment_content ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE idempotency (
    actor text NOT NULL,
    key text NOT NULL,
    request_sha256 bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
    outcome jsonb,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_recorded_at ON idempotency (recorded_at);
"""

APPEND_ONLY = [
    statement
    for table in ("incident_event", "attachment_content")
    for statement in (
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION shared.refuse_change()",
        f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change()",
    )
]


def upgrade() -> None:
    for part in (INCIDENTS, *APPEND_ONLY):
        op.execute(part)
