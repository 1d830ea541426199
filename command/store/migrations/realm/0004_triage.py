"""Triage: who has an alert in hand, what an officer raised and why, and silences."""

from alembic import op

revision = "realm_0004"
down_revision = "realm_0003"

ALERTS = """
ALTER TABLE alert
    ADD COLUMN assigned_to text,
    ADD COLUMN assigned_by text,
    ADD COLUMN assigned_at timestamptz,
    ADD COLUMN escalated_by text,
    ADD COLUMN escalated_at timestamptz,
    ADD COLUMN escalation_reason text,
    ADD COLUMN rule_severity smallint CHECK (rule_severity BETWEEN 1 AND 4),
    ADD CHECK ((assigned_to IS NULL) = (assigned_at IS NULL)),
    ADD CHECK ((escalated_at IS NULL) = (rule_severity IS NULL)),
    ADD CHECK (rule_severity <= severity);
ALTER TABLE alert_event DROP CONSTRAINT alert_event_kind_check;
ALTER TABLE alert_event ADD CONSTRAINT alert_event_kind_check CHECK (
    kind IN ('opened', 'revised', 'cleared', 'acknowledged', 'assigned', 'unassigned', 'escalated', 'withdrawn')
);
"""

SILENCES = """
CREATE TABLE silence (
    silence_id uuid PRIMARY KEY,
    rule text,
    subject text,
    area text,
    reason text NOT NULL CHECK (reason <> ''),
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by text,
    CHECK (num_nonnulls(rule, subject, area) > 0),
    CHECK (expires_at > created_at),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX silence_expires_at ON silence (expires_at DESC);
"""


def upgrade() -> None:
    op.execute(ALERTS)
    op.execute(SILENCES)
