"""People: signed heads of the audit log, second factors, API tokens, where a session was opened."""

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
    ADD COLUMN browser text NOT NULL DEFAULT '',
    ADD COLUMN code_due boolean NOT NULL DEFAULT false;
"""

SECOND_FACTORS = """
CREATE TABLE shared.second_factor (
    user_id uuid PRIMARY KEY REFERENCES shared.person ON DELETE CASCADE,
    sealed_secret bytea NOT NULL,
    confirmed boolean NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE shared.recovery_code (
    code_sha256 bytea PRIMARY KEY CHECK (octet_length(code_sha256) = 32),
    user_id uuid NOT NULL REFERENCES shared.second_factor ON DELETE CASCADE
);
CREATE INDEX recovery_code_user_id ON shared.recovery_code (user_id);
"""

API_TOKENS = """
CREATE TABLE shared.api_token (
    token_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES shared.person ON DELETE CASCADE,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX api_token_user_id ON shared.api_token (user_id);
"""


def upgrade() -> None:
    op.execute(AUDIT_HEADS)
    op.execute(SESSIONS)
    op.execute(SECOND_FACTORS)
    op.execute(API_TOKENS)
