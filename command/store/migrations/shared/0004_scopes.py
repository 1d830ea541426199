"""Scopes: the areas that a person's roles, or an API token, are limited to."""

from alembic import op

revision = "shared_0004"
down_revision = "shared_0002"

SCOPES = """
ALTER TABLE shared.person ADD COLUMN areas text[] CHECK (cardinality(areas) > 0);
ALTER TABLE shared.api_token ADD COLUMN token_areas text[] CHECK (cardinality(token_areas) > 0);
"""


def upgrade() -> None:
    op.execute(SCOPES)
