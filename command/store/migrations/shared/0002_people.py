"""People and what they did: the signed heads of the audit log, and where a session was opened."""

from alembic import op

revision = "shared_0002"
down_revision = "shared_0001"

AUDIT_HEADS = """
CREATE TABLE shared.audit_head (
    batch bigint PRIMARY KEY CHECK (batch > 0),
    upto_id bigint NOT NULL UNIQUE,
    line text NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON shared.audit_head
    FOR EACH ROW EXECUTE FUNCTION shared.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON shared.audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change();
"""

SESSIONS = """
ALTER TABLE shared.web_session
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN browser text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    op.execute(AUDIT_HEADS)
    op.execute(SESSIONS)
