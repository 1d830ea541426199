"""Rules edited by people: who said why, which version was brought back, and what the settings file says beside it."""

from alembic import op

revision = "realm_0010"
down_revision = "realm_0009"

RULES = """
ALTER TABLE rule_version
    ADD COLUMN by_person boolean NOT NULL DEFAULT false,
    ADD COLUMN reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    ADD COLUMN restores integer CHECK (restores > 0 AND restores < version);
CREATE TABLE rule_setting (
    rule text PRIMARY KEY,
    config jsonb NOT NULL
);
"""


def upgrade() -> None:
    op.execute(RULES)
