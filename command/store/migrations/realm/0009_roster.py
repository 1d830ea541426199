"""The roster: who is on duty when, who was called about an alert, and who handed the watch to whom."""

from alembic import op

revision = "realm_0009"
down_revision = "realm_0010"

SHIFTS = """
CREATE TABLE shift_version (
    shift_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    login text NOT NULL,
    role text NOT NULL CHECK (role IN ('duty_officer', 'deputy', 'on_call')),
    team text,
    areas text[] NOT NULL,
    skills text[] NOT NULL,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    removed boolean NOT NULL,
    revision bigint NOT NULL UNIQUE,
    PRIMARY KEY (shift_id, version)
);
CREATE INDEX shift_version_until ON shift_version (until_at);
INSERT INTO sequencer (name, seq) VALUES ('shift', 0), ('handover', 0);
"""

CALLS = """
ALTER TABLE alert
    ADD COLUMN waiting_since timestamptz,
    ADD COLUMN called_at timestamptz,
    ADD COLUMN called jsonb,
    ADD CHECK ((called_at IS NULL) = (called IS NULL));
UPDATE alert SET waiting_since = opened_at WHERE acknowledged_at IS NULL;
CREATE INDEX alert_to_call ON alert (severity, coalesce(called_at, waiting_since))
    WHERE acknowledged_at IS NULL AND cleared_at IS NULL;
"""

# Kinds that another migration added stay allowed.
CALLED = r"""
DO $$
DECLARE
    allowed text;
BEGIN
    SELECT pg_get_constraintdef(oid) INTO STRICT allowed FROM pg_constraint
        WHERE conrelid = 'alert_event'::regclass AND conname = 'alert_event_kind_check';
    ALTER TABLE alert_event DROP CONSTRAINT alert_event_kind_check;
    EXECUTE 'ALTER TABLE alert_event ADD CONSTRAINT alert_event_kind_check CHECK ('
        || regexp_replace(allowed, '^CHECK ', '') || ' OR kind = ''called'')';
END
$$
"""

HANDOVER = """
CREATE TABLE handover_version (
    sheet_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    outgoing text,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at >= from_at),
    content jsonb NOT NULL,
    remarks text NOT NULL,
    made_by text NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    revision bigint NOT NULL UNIQUE,
    PRIMARY KEY (sheet_id, version)
);
CREATE TABLE handover_signature (
    sheet_id uuid NOT NULL,
    version integer NOT NULL,
    part text NOT NULL CHECK (part IN ('outgoing', 'incoming')),
    login text NOT NULL,
    name text NOT NULL,
    signed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    PRIMARY KEY (sheet_id, version, part),
    UNIQUE (sheet_id, version, login),
    FOREIGN KEY (sheet_id, version) REFERENCES handover_version (sheet_id, version)
);
CREATE TABLE watch_held (
    held_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login text NOT NULL,
    name text NOT NULL,
    since timestamptz NOT NULL,
    sheet_id uuid NOT NULL UNIQUE
);
"""

APPEND_ONLY = tuple(
    f"CREATE TRIGGER {name} BEFORE {acts} ON {table} FOR EACH {each} EXECUTE FUNCTION shared.refuse_change()"
    for table in ("shift_version", "handover_version", "handover_signature", "watch_held")
    for name, acts, each in (
        ("append_only", "UPDATE OR DELETE", "ROW"),
        ("append_only_truncate", "TRUNCATE", "STATEMENT"),
    )
)


def upgrade() -> None:
    for part in (SHIFTS, CALLS, CALLED, HANDOVER, *APPEND_ONLY):
        op.execute(part)
