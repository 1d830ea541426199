"""An area can be retired: a version that says that it is no longer watched."""

from alembic import op

revision = "realm_0003"
down_revision = "realm_0002"


def upgrade() -> None:
    op.execute("ALTER TABLE area_version ADD COLUMN retired boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE area_version ALTER COLUMN retired DROP DEFAULT")
