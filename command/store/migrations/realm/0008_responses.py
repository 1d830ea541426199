"""What teams answer to alerts: every answer as it came, and on the alert where each team stands."""

from alembic import op

revision = "realm_0008"
down_revision = "realm_0007"

RESPONSES = """
CREATE TABLE response (
    response_id uuid PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    team text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('acknowledge', 'accept', 'decline', 'on_scene', 'closed')),
    revision_seen integer NOT NULL CHECK (revision_seen > 0),
    responder text NOT NULL CHECK (length(responder) BETWEEN 1 AND 100),
    channel text NOT NULL CHECK (channel IN ('amqp', 'api', 'console')),
    sender text NOT NULL,
    answered_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    comment text NOT NULL CHECK (length(comment) <= 1000),
    position geometry(Point, 4326),
    CHECK (answered_at <= recorded_at),
    CHECK (kind NOT IN ('decline', 'closed') OR comment <> '')
);
CREATE INDEX response_alert ON response (alert_id, team, answered_at);
"""

ALERTS = """
ALTER TABLE alert ADD COLUMN responses jsonb NOT NULL DEFAULT '[]';
ALTER TABLE alert ALTER COLUMN responses DROP DEFAULT;
ALTER TABLE alert_event DROP CONSTRAINT alert_event_kind_check;
ALTER TABLE alert_event ADD CONSTRAINT alert_event_kind_check CHECK (
    kind IN (
        'opened', 'revised', 'cleared', 'acknowledged', 'assigned', 'unassigned', 'escalated', 'withdrawn', 'responded'
    )
);
"""

APPEND_ONLY = (
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON response "
    "FOR EACH ROW EXECUTE FUNCTION shared.refuse_change()",
    "CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON response "
    "FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change()",
)


def upgrade() -> None:
    for part in (RESPONSES, ALERTS, *APPEND_ONLY):
        op.execute(part)
