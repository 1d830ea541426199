"""Notices: what became of each revision of an alert on each route, the groups with their timers, what inhibits what."""

from alembic import op

revision = "realm_0006"
down_revision = "realm_0005"

NOTICES = """
CREATE TABLE notice (
    alert_id uuid NOT NULL REFERENCES alert,
    revision integer NOT NULL,
    route text NOT NULL,
    group_id uuid NOT NULL,
    severity smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    fate text NOT NULL CHECK (fate IN ('waiting', 'inhibited', 'silenced', 'held', 'delivered', 'grouped')),
    pending boolean NOT NULL,
    cause text,
    cause_key text,
    about uuid,
    until timestamptz,
    deliveries uuid[] NOT NULL DEFAULT '{}',
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (alert_id, revision, route),
    CHECK (NOT pending OR fate NOT IN ('delivered', 'grouped')),
    CHECK (pending OR fate <> 'waiting')
);
CREATE INDEX notice_waiting ON notice (group_id) WHERE pending AND fate = 'waiting';
CREATE INDEX notice_held_back ON notice (fate, until) WHERE pending AND fate <> 'waiting';

CREATE TABLE notice_told (
    alert_id uuid NOT NULL REFERENCES alert,
    route text NOT NULL,
    group_id uuid NOT NULL,
    revision integer NOT NULL,
    PRIMARY KEY (alert_id, route)
);
CREATE INDEX notice_told_group ON notice_told (group_id);

CREATE TABLE notice_group (
    group_id uuid PRIMARY KEY,
    route text NOT NULL,
    labels jsonb NOT NULL,
    due_at timestamptz,
    sent_at timestamptz,
    repeat_at timestamptz,
    messages integer NOT NULL CHECK (messages >= 0),
    worst smallint CHECK (worst BETWEEN 1 AND 4)
);
CREATE INDEX notice_group_due ON notice_group (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notice_group_repeat ON notice_group (repeat_at) WHERE repeat_at IS NOT NULL;

CREATE TABLE inhibitor (
    inhibition text NOT NULL,
    key text NOT NULL,
    alert_id uuid NOT NULL REFERENCES alert,
    PRIMARY KEY (inhibition, key, alert_id)
);
CREATE INDEX inhibitor_alert ON inhibitor (alert_id);
"""

PLANNER = """
CREATE TABLE planner (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    policy text,
    policy_at timestamptz,
    taken bigint NOT NULL DEFAULT 0,
    ended jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO planner DEFAULT VALUES;
"""


def upgrade() -> None:
    op.execute(NOTICES)
    op.execute(PLANNER)
