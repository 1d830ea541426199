"""Deliveries that are dead or given up, when each is tried next, and who had it sent again."""

from alembic import op

revision = "realm_0007"
down_revision = "realm_0006"

STEPS = (
    "ALTER TABLE delivery DROP CONSTRAINT delivery_state_check",
    "ALTER TABLE delivery ADD CHECK (state IN ('pending', 'failed', 'confirmed', 'dead', 'given_up'))",
    "ALTER TABLE delivery ADD COLUMN next_attempt_at timestamptz",
    "ALTER TABLE delivery ADD COLUMN resent_at timestamptz",
    "DROP INDEX delivery_open",
    # what waits, for dispatch; what a person has to look at, for the page
    "CREATE INDEX delivery_open ON delivery (channel, next_attempt_at) WHERE state IN ('pending', 'failed')",
    "CREATE INDEX delivery_dead ON delivery (channel, created_at) WHERE state = 'dead'",
)


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
