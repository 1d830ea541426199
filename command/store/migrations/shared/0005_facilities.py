"""Facilities with an origin and versions, so that what people import stays apart from what releases bring."""

from alembic import op

revision = "shared_0005"
down_revision = "shared_0004"

VERSIONS = """
CREATE TABLE shared.facility_version (
    facility_id text NOT NULL CHECK (facility_id ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(facility_id) <= 60),
    version integer NOT NULL CHECK (version > 0),
    origin text NOT NULL CHECK (origin IN ('shipped', 'imported')),
    kind text NOT NULL,
    name_ja text NOT NULL,
    name_en text NOT NULL,
    prefecture text NOT NULL,
    municipality text NOT NULL,
    position geometry(Point, 4326) NOT NULL,
    stated_distance_km double precision CHECK (stated_distance_km > 0),
    source_note text NOT NULL,
    author text NOT NULL,
    valid_from timestamptz NOT NULL,
    retired boolean NOT NULL,
    revision bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    PRIMARY KEY (facility_id, version)
);
INSERT INTO shared.facility_version (facility_id, version, origin, kind, name_ja, name_en, prefecture, municipality,
        position, stated_distance_km, source_note, author, valid_from, retired)
    SELECT facility_id, 1, 'shipped', kind, name_ja, name_en, prefecture, municipality,
        position, stated_distance_km, source_note, 'mizugiwa', now(), false
    FROM shared.facility ORDER BY facility_id;
DROP TABLE shared.facility;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON shared.facility_version
    FOR EACH ROW EXECUTE FUNCTION shared.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON shared.facility_version
    FOR EACH STATEMENT EXECUTE FUNCTION shared.refuse_change();
"""


def upgrade() -> None:
    op.execute(VERSIONS)
