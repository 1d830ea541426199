"""Scopes: the areas that a person's roles, or an API token, are limited to. Providers: where a person signs in."""

from alembic import op

revision = "shared_0004"
down_revision = "shared_0003"

SCOPES = """
ALTER TABLE shared.person ADD COLUMN areas text[] CHECK (cardinality(areas) > 0);
ALTER TABLE shared.api_token ADD COLUMN token_areas text[] CHECK (cardinality(token_areas) > 0);
"""

PROVIDERS = """
ALTER TABLE shared.person
    ADD COLUMN issuer text,
    ADD COLUMN subject text,
    ADD CHECK ((issuer IS NULL) = (subject IS NULL));
CREATE UNIQUE INDEX person_subject ON shared.person (issuer, subject);
"""


def upgrade() -> None:
    op.execute(SCOPES)
    op.execute(PROVIDERS)
