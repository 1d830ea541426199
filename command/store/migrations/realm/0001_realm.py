"""What each realm has for itself.

Names are unqualified: the migration runs with the realm's schema first in search_path.
"""

from alembic import op

revision = "realm_0001"
down_revision = None

HISTORY = """
CREATE TABLE observation (
    observation_id uuid NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    subject_scheme smallint NOT NULL,
    subject_kind smallint NOT NULL,
    kind smallint NOT NULL,
    flags bigint NOT NULL,
    subject_key bigint NOT NULL,
    lon double precision,
    lat double precision,
    position_error_m real,
    altitude_amsl_m real,
    height_m real,
    depth_m real,
    speed_mps real,
    course_deg real,
    heading_deg real,
    battery_percent real,
    link_percent real,
    source text NOT NULL,
    attributes jsonb,
    PRIMARY KEY (observed_at, observation_id)
) PARTITION BY RANGE (observed_at);
CREATE INDEX observation_time ON observation USING brin (observed_at) WITH (pages_per_range = 32);
CREATE INDEX observation_subject ON observation (subject_key, observed_at);
CREATE TABLE observation_default PARTITION OF observation DEFAULT;

CREATE TABLE track_state (
    track_id uuid NOT NULL,
    observation_id uuid NOT NULL,
    observed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    subject_scheme smallint NOT NULL,
    subject_kind smallint NOT NULL,
    status smallint NOT NULL,
    flags bigint NOT NULL,
    subject_key bigint NOT NULL,
    lon double precision,
    lat double precision,
    position_error_m real,
    altitude_amsl_m real,
    height_m real,
    depth_m real,
    speed_mps real,
    course_deg real,
    heading_deg real,
    battery_percent real,
    link_percent real
) PARTITION BY RANGE (observed_at);
CREATE INDEX track_state_time ON track_state USING brin (observed_at) WITH (pages_per_range = 32);
CREATE INDEX track_state_track ON track_state (track_id, observed_at);
CREATE TABLE track_state_default PARTITION OF track_state DEFAULT;
"""

PARTITIONS = """
CREATE FUNCTION ensure_partitions(parent text, days date[]) RETURNS integer LANGUAGE plpgsql AS $$
-- Makes the daily partitions that are missing and moves what the DEFAULT partition holds of those days into them.
-- Returns how many were made. The advisory lock lets one transaction at a time make them.
DECLARE
    home text := current_schema();
    day date;
    part text;
    opens timestamptz;
    closes timestamptz;
    made integer := 0;
BEGIN
    FOREACH day IN ARRAY days LOOP
        part := parent || to_char(day, '"_"YYYYMMDD');
        CONTINUE WHEN to_regclass(format('%I.%I', home, part)) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtextextended(home || '.' || parent, 0));
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_class WHERE relname = part AND relnamespace = to_regnamespace(quote_ident(home))
        );
        opens := day::timestamp AT TIME ZONE 'UTC';
        closes := (day + 1)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL)', home, part, home, parent);
        EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', home, parent || '_default');
        EXECUTE format('ALTER TABLE %I.%I DISABLE TRIGGER USER', home, parent || '_default');
        EXECUTE format(
            'WITH moved AS (DELETE FROM %1$I.%2$I WHERE observed_at >= %4$L AND observed_at < %5$L RETURNING *)
             INSERT INTO %1$I.%3$I SELECT * FROM moved',
            home, parent || '_default', part, opens, closes);
        EXECUTE format('ALTER TABLE %I.%I ENABLE TRIGGER USER', home, parent || '_default');
        EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
            home, parent, home, part, opens, closes);
        IF parent = 'track_state' THEN
            EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I.%I
                FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change()', home, part);
        END IF;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
"""

PICTURE = """
CREATE TABLE track (
    track_id uuid PRIMARY KEY,
    subject text NOT NULL,
    kind smallint NOT NULL,
    status smallint NOT NULL,
    source text NOT NULL,
    observed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    position geometry(Point, 4326),
    flags bigint NOT NULL,
    speed_mps double precision,
    course_deg double precision,
    heading_deg double precision,
    altitude_amsl_m double precision,
    height_m double precision,
    depth_m double precision,
    position_error_m double precision,
    battery_percent double precision,
    link_percent double precision,
    attributes jsonb NOT NULL,
    filter_state bytea NOT NULL,
    changed_seq bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX track_position ON track USING gist (position);
CREATE INDEX track_changed_seq ON track (changed_seq);

CREATE TABLE sequencer (name text PRIMARY KEY, seq bigint NOT NULL);
INSERT INTO sequencer (name, seq) VALUES ('flush', 0), ('area', 0), ('rule', 0);
"""

RULES = """
CREATE TABLE rule_memory (
    rule text NOT NULL,
    key text NOT NULL,
    memory jsonb NOT NULL,
    PRIMARY KEY (rule, key)
);

CREATE TABLE rule_version (
    rule text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    config jsonb NOT NULL,
    author text NOT NULL,
    valid_from timestamptz NOT NULL,
    PRIMARY KEY (rule, version)
);

CREATE TABLE area_version (
    area_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 60),
    kind text NOT NULL,
    name_ja text NOT NULL,
    name_en text NOT NULL,
    geometry geometry(Geometry, 4326) NOT NULL
        CHECK (geometrytype(geometry) IN ('POLYGON', 'MULTIPOLYGON')),
    author text NOT NULL,
    valid_from timestamptz NOT NULL,
    revision bigint NOT NULL UNIQUE,
    PRIMARY KEY (area_id, version),
    UNIQUE (slug, version)
);
"""

ALERTS = """
CREATE TABLE alert (
    alert_id uuid PRIMARY KEY,
    revision integer NOT NULL CHECK (revision > 0),
    rule text NOT NULL,
    severity smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    subject text NOT NULL,
    subject_label text NOT NULL,
    area text,
    track_id uuid,
    position geometry(Point, 4326),
    because text NOT NULL,
    because_params jsonb NOT NULL,
    evidence uuid[] NOT NULL,
    opened_at timestamptz NOT NULL,
    observed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    cleared_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    comment text
);
CREATE INDEX alert_triage ON alert (severity DESC, (acknowledged_at IS NOT NULL), opened_at DESC);
CREATE INDEX alert_track ON alert (track_id) WHERE cleared_at IS NULL;

CREATE TABLE alert_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    revision integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opened', 'revised', 'cleared', 'acknowledged')),
    recorded_at timestamptz NOT NULL,
    actor text,
    alert jsonb NOT NULL,
    evidence_missing uuid[] NOT NULL,
    UNIQUE (alert_id, revision)
);

CREATE TABLE evidence (
    alert_id uuid NOT NULL REFERENCES alert,
    LIKE observation,
    PRIMARY KEY (alert_id, observation_id)
);

CREATE TABLE alert_outbox (
    alert_id uuid NOT NULL REFERENCES alert,
    revision integer NOT NULL,
    PRIMARY KEY (alert_id, revision)
);

CREATE TABLE delivery (
    delivery_id uuid PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    revision integer NOT NULL,
    channel text NOT NULL,
    routing_key text NOT NULL,
    body jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'confirmed', 'failed')),
    attempts integer NOT NULL CHECK (attempts >= 0),
    created_at timestamptz NOT NULL,
    attempted_at timestamptz,
    confirmed_at timestamptz,
    last_error text,
    CHECK ((state = 'confirmed') = (confirmed_at IS NOT NULL))
);
CREATE INDEX delivery_open ON delivery (attempts, created_at) WHERE state <> 'confirmed';
CREATE INDEX delivery_alert ON delivery (alert_id);
"""

OPERATIONS = """
CREATE TABLE source_health (
    source text NOT NULL,
    gateway text NOT NULL,
    kind text NOT NULL,
    started_at timestamptz NOT NULL,
    reported_at timestamptz NOT NULL,
    state text NOT NULL,
    messages_in bigint NOT NULL,
    decoded bigint NOT NULL,
    rejected jsonb NOT NULL,
    duplicates bigint NOT NULL,
    observations bigint NOT NULL,
    shed jsonb NOT NULL,
    ignored jsonb NOT NULL,
    last_seen_at timestamptz,
    last_observed_at timestamptz,
    lag_s double precision,
    clock_offset_s double precision,
    detail text NOT NULL,
    PRIMARY KEY (source, gateway)
) WITH (fillfactor = 50);

CREATE TABLE heartbeat (
    process text PRIMARY KEY,
    pid integer NOT NULL,
    reported_at timestamptz NOT NULL,
    detail jsonb NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE asset (
    subject text PRIMARY KEY,
    kind smallint NOT NULL,
    name_ja text NOT NULL,
    name_en text NOT NULL
);

CREATE TABLE exemption (
    exemption_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    rule text,
    reason text NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CHECK (expires_at > created_at)
);
CREATE INDEX exemption_expires_at ON exemption (expires_at);

CREATE TABLE command_request (
    request_id uuid PRIMARY KEY,
    asset text NOT NULL,
    verb text NOT NULL,
    arguments jsonb NOT NULL,
    requested_by text NOT NULL,
    state text NOT NULL,
    holder text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    answered_at timestamptz,
    answer jsonb,
    CHECK (expires_at > created_at)
);
CREATE INDEX command_request_created_at ON command_request (created_at);
"""

APPEND_ONLY = [
    statement
    for table in ("track_state", "alert_event", "evidence", "rule_version", "area_version")
    for statement in (
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION shared.refuse_change()",
        f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change()",
    )
]


def upgrade() -> None:
    for part in (HISTORY, PARTITIONS, PICTURE, RULES, ALERTS, OPERATIONS, *APPEND_ONLY):
        op.execute(part)
    op.execute(
        "CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON track_state_default "
        "FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change()"
    )
