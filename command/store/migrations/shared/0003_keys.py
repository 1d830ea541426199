"""The keys of the console as each person set them."""

from alembic import op

revision = "shared_0003"
down_revision = "shared_0002"

KEYS = """
CREATE TABLE shared.person_keys (
    user_id uuid PRIMARY KEY REFERENCES shared.person ON DELETE CASCADE,
    letters_off boolean NOT NULL,
    keys jsonb NOT NULL
);
"""


def upgrade() -> None:
    op.execute(KEYS)
