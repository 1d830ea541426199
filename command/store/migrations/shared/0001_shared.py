"""What every realm shares: realms and their clocks, people, audit, facilities."""

from alembic import op

revision = "shared_0001"
down_revision = None

TABLES = """
CREATE TABLE shared.realm (
    name text PRIMARY KEY,
    created_at timestamptz NOT NULL,
    clock text NOT NULL CHECK (clock IN ('system', 'scenario', 'data')),
    scenario_start_us bigint,
    host_start_us bigint,
    speed double precision CHECK (speed > 0),
    latest_us bigint,
    CHECK (clock <> 'scenario' OR num_nulls(scenario_start_us, host_start_us, speed) = 0),
    CHECK (clock <> 'data' OR latest_us IS NOT NULL)
);

CREATE TABLE shared.person (
    user_id uuid PRIMARY KEY,
    login text NOT NULL,
    display_name text NOT NULL,
    roles text[] NOT NULL,
    password_hash text NOT NULL,
    must_change_password boolean NOT NULL,
    disabled boolean NOT NULL,
    created_at timestamptz NOT NULL,
    password_set_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX person_login ON shared.person (lower(login));

CREATE TABLE shared.web_session (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    user_id uuid NOT NULL REFERENCES shared.person ON DELETE CASCADE,
    opened_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX web_session_user_id ON shared.web_session (user_id);
CREATE INDEX web_session_expires_at ON shared.web_session (expires_at);

CREATE TABLE shared.login_failure (
    failure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login text NOT NULL,
    failed_at timestamptz NOT NULL
);
CREATE INDEX login_failure_login ON shared.login_failure (lower(login), failed_at);
CREATE INDEX login_failure_failed_at ON shared.login_failure (failed_at);

CREATE TABLE shared.audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb NOT NULL
);
CREATE INDEX audit_recorded_at ON shared.audit USING brin (recorded_at);
CREATE INDEX audit_target ON shared.audit (target, audit_id);

CREATE TABLE shared.facility (
    facility_id text PRIMARY KEY,
    kind text NOT NULL,
    name_ja text NOT NULL,
    name_en text NOT NULL,
    prefecture text NOT NULL,
    municipality text NOT NULL,
    position geometry(Point, 4326) NOT NULL,
    stated_distance_km double precision NOT NULL,
    source_note text NOT NULL
);
"""

APPEND_ONLY = """
CREATE FUNCTION shared.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % is refused; add a row that corrects the earlier one instead',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON shared.audit
    FOR EACH ROW EXECUTE FUNCTION shared.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON shared.audit
    FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change();
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(APPEND_ONLY)
