"""The tables as SQLAlchemy sees them; the migrations make them.

Tables of REALM_TABLES have no schema: the session's search_path says which realm. The two hot tables
(observation, track_state) are not here: columnar.py and the domain's dtypes describe them.
"""

from __future__ import annotations

from typing import Final

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from command.store.types import WGS84_SRID, Id16, Microseconds, SafeText, point_column_type

SHARED_SCHEMA: Final = "shared"
SHARED_TABLES: Final = MetaData(schema=SHARED_SCHEMA)
REALM_TABLES: Final = MetaData()

# What every realm shares.

REALM: Final = Table(
    "realm",
    SHARED_TABLES,
    Column("name", SafeText, primary_key=True),
    Column("created_at", Microseconds, nullable=False),
    Column("clock", SafeText, nullable=False),
    Column("scenario_start_us", BigInteger),
    Column("host_start_us", BigInteger),
    Column("speed", Double),
    Column("latest_us", BigInteger),
)

PERSON: Final = Table(
    "person",
    SHARED_TABLES,
    Column("user_id", Uuid, primary_key=True),
    Column("login", SafeText, nullable=False),
    Column("display_name", SafeText, nullable=False),
    Column("roles", ARRAY(SafeText), nullable=False),
    Column("password_hash", SafeText, nullable=False),
    Column("must_change_password", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Microseconds, nullable=False),
    Column("password_set_at", Microseconds, nullable=False),
    Column("areas", ARRAY(SafeText)),
    Column("issuer", SafeText),
    Column("subject", SafeText),
)

WEB_SESSION: Final = Table(
    "web_session",
    SHARED_TABLES,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("opened_at", Microseconds, nullable=False),
    Column("last_seen_at", Microseconds, nullable=False),
    Column("expires_at", Microseconds, nullable=False),
    Column("address", SafeText, nullable=False),
    Column("browser", SafeText, nullable=False),
    Column("code_due", Boolean, nullable=False),
)

SECOND_FACTOR: Final = Table(
    "second_factor",
    SHARED_TABLES,
    Column("user_id", Uuid, primary_key=True),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", Microseconds, nullable=False),
)

RECOVERY_CODE: Final = Table(
    "recovery_code",
    SHARED_TABLES,
    Column("code_sha256", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
)

API_TOKEN: Final = Table(
    "api_token",
    SHARED_TABLES,
    Column("token_id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("name", SafeText, nullable=False),
    Column("scopes", ARRAY(SafeText), nullable=False),
    Column("created_at", Microseconds, nullable=False),
    Column("expires_at", Microseconds, nullable=False),
    Column("last_used_at", Microseconds),
    Column("token_areas", ARRAY(SafeText)),
)

PERSON_KEYS: Final = Table(
    "person_keys",
    SHARED_TABLES,
    Column("user_id", Uuid, primary_key=True),
    Column("letters_off", Boolean, nullable=False),
    Column("keys", JSONB, nullable=False),
)

LOGIN_FAILURE: Final = Table(
    "login_failure",
    SHARED_TABLES,
    Column("failure_id", BigInteger, Identity(always=True), primary_key=True),
    Column("login", SafeText, nullable=False),
    Column("failed_at", Microseconds, nullable=False),
)

AUDIT: Final = Table(
    "audit",
    SHARED_TABLES,
    Column("audit_id", BigInteger, Identity(always=True), primary_key=True),
    Column("recorded_at", Microseconds, nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("action", SafeText, nullable=False),
    Column("target", SafeText, nullable=False),
    Column("detail", JSONB, nullable=False),
)

AUDIT_HEAD: Final = Table(
    "audit_head",
    SHARED_TABLES,
    Column("batch", BigInteger, primary_key=True, autoincrement=False),
    Column("upto_id", BigInteger, nullable=False),
    Column("line", SafeText, nullable=False),
)

FACILITY_VERSION: Final = Table(
    "facility_version",
    SHARED_TABLES,
    Column("facility_id", SafeText, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("origin", SafeText, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("name_ja", SafeText, nullable=False),
    Column("name_en", SafeText, nullable=False),
    Column("prefecture", SafeText, nullable=False),
    Column("municipality", SafeText, nullable=False),
    Column("position", point_column_type(), nullable=False),
    Column("stated_distance_km", Double),
    Column("source_note", SafeText, nullable=False),
    Column("author", SafeText, nullable=False),
    Column("valid_from", Microseconds, nullable=False),
    Column("retired", Boolean, nullable=False),
    Column("revision", BigInteger, Identity(always=True), nullable=False),
)

# What each realm has for itself.

TRACK: Final = Table(
    "track",
    REALM_TABLES,
    Column("track_id", Uuid, primary_key=True),
    Column("subject", SafeText, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("source", SafeText, nullable=False),
    Column("observed_at", Microseconds, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
    Column("position", point_column_type()),
    Column("flags", BigInteger, nullable=False),
    Column("speed_mps", Double),
    Column("course_deg", Double),
    Column("heading_deg", Double),
    Column("altitude_amsl_m", Double),
    Column("height_m", Double),
    Column("depth_m", Double),
    Column("position_error_m", Double),
    Column("battery_percent", Double),
    Column("link_percent", Double),
    Column("attributes", JSONB, nullable=False),
    Column("filter_state", LargeBinary, nullable=False),
    Column("changed_seq", BigInteger, nullable=False),
)

SEQUENCER: Final = Table(
    "sequencer",
    REALM_TABLES,
    Column("name", SafeText, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

RULE_MEMORY: Final = Table(
    "rule_memory",
    REALM_TABLES,
    Column("rule", SafeText, primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("memory", JSONB, nullable=False),
)

RULE_VERSION: Final = Table(
    "rule_version",
    REALM_TABLES,
    Column("rule", SafeText, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("config", JSONB, nullable=False),
    Column("author", SafeText, nullable=False),
    Column("valid_from", Microseconds, nullable=False),
    Column("by_person", Boolean, nullable=False),
    Column("reason", SafeText, nullable=False),
    Column("restores", Integer),
)

RULE_SETTING: Final = Table(
    "rule_setting",
    REALM_TABLES,
    Column("rule", SafeText, primary_key=True),
    Column("config", JSONB, nullable=False),
)

AREA_VERSION: Final = Table(
    "area_version",
    REALM_TABLES,
    Column("area_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("slug", SafeText, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("name_ja", SafeText, nullable=False),
    Column("name_en", SafeText, nullable=False),
    Column("geometry", Geometry("GEOMETRY", srid=WGS84_SRID, spatial_index=False), nullable=False),
    Column("author", SafeText, nullable=False),
    Column("valid_from", Microseconds, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("retired", Boolean, nullable=False),
)

NOTE_VERSION: Final = Table(
    "note_version",
    REALM_TABLES,
    Column("note_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("text", SafeText, nullable=False),
    Column("position", point_column_type(), nullable=False),
    Column("created_by", SafeText, nullable=False),
    Column("created_at", Microseconds, nullable=False),
    Column("changed_by", SafeText, nullable=False),
    Column("changed_at", Microseconds, nullable=False),
    Column("expires_at", Microseconds),
    Column("removed", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

SHIFT_VERSION: Final = Table(
    "shift_version",
    REALM_TABLES,
    Column("shift_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("login", SafeText, nullable=False),
    Column("role", SafeText, nullable=False),
    Column("team", SafeText),
    Column("areas", ARRAY(SafeText), nullable=False),
    Column("skills", ARRAY(SafeText), nullable=False),
    Column("from_at", Microseconds, nullable=False),
    Column("until_at", Microseconds, nullable=False),
    Column("changed_by", SafeText, nullable=False),
    Column("changed_at", Microseconds, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

HANDOVER_VERSION: Final = Table(
    "handover_version",
    REALM_TABLES,
    Column("sheet_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("outgoing", SafeText),
    Column("from_at", Microseconds, nullable=False),
    Column("until_at", Microseconds, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("remarks", SafeText, nullable=False),
    Column("made_by", SafeText, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

HANDOVER_SIGNATURE: Final = Table(
    "handover_signature",
    REALM_TABLES,
    Column("sheet_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("part", SafeText, primary_key=True),
    Column("login", SafeText, nullable=False),
    Column("name", SafeText, nullable=False),
    Column("signed_at", Microseconds, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
)

WATCH_HELD: Final = Table(
    "watch_held",
    REALM_TABLES,
    Column("held_id", BigInteger, Identity(always=True), primary_key=True),
    Column("login", SafeText, nullable=False),
    Column("name", SafeText, nullable=False),
    Column("since", Microseconds, nullable=False),
    Column("sheet_id", Uuid, nullable=False),
)

ALERT: Final = Table(
    "alert",
    REALM_TABLES,
    Column("alert_id", Uuid, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("rule", SafeText, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("subject", SafeText, nullable=False),
    Column("subject_label", SafeText, nullable=False),
    Column("area", SafeText),
    Column("track_id", Uuid),
    Column("position", point_column_type()),
    Column("because", SafeText, nullable=False),
    Column("because_params", JSONB, nullable=False),
    Column("evidence", ARRAY(Id16), nullable=False),
    Column("opened_at", Microseconds, nullable=False),
    Column("observed_at", Microseconds, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
    Column("cleared_at", Microseconds),
    Column("acknowledged_at", Microseconds),
    Column("acknowledged_by", SafeText),
    Column("comment", SafeText),
    Column("assigned_to", SafeText),
    Column("assigned_by", SafeText),
    Column("assigned_at", Microseconds),
    Column("escalated_by", SafeText),
    Column("escalated_at", Microseconds),
    Column("escalation_reason", SafeText),
    Column("rule_severity", SmallInteger),
    Column("waiting_since", Microseconds),
    Column("called_at", Microseconds),
    Column("called", JSONB(none_as_null=True)),
    Column("responses", JSONB, nullable=False),
)

ALERT_EVENT: Final = Table(
    "alert_event",
    REALM_TABLES,
    Column("event_id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
    Column("actor", SafeText),
    Column("alert", JSONB, nullable=False),
    Column("evidence_missing", ARRAY(Id16), nullable=False),
)

RESPONSE: Final = Table(
    "response",
    REALM_TABLES,
    Column("response_id", Uuid, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("team", SafeText, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("revision_seen", Integer, nullable=False),
    Column("responder", SafeText, nullable=False),
    Column("channel", SafeText, nullable=False),
    Column("sender", SafeText, nullable=False),
    Column("answered_at", Microseconds, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
    Column("comment", SafeText, nullable=False),
    Column("position", point_column_type()),
)

ALERT_OUTBOX: Final = Table(
    "alert_outbox",
    REALM_TABLES,
    Column("alert_id", Uuid, primary_key=True),
    Column("revision", Integer, primary_key=True),
)

SILENCE: Final = Table(
    "silence",
    REALM_TABLES,
    Column("silence_id", Uuid, primary_key=True),
    Column("rule", SafeText),
    Column("subject", SafeText),
    Column("area", SafeText),
    Column("reason", SafeText, nullable=False),
    Column("author", SafeText, nullable=False),
    Column("created_at", Microseconds, nullable=False),
    Column("expires_at", Microseconds, nullable=False),
    Column("ended_at", Microseconds),
    Column("ended_by", SafeText),
)

DELIVERY: Final = Table(
    "delivery",
    REALM_TABLES,
    Column("delivery_id", Uuid, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("channel", SafeText, nullable=False),
    Column("routing_key", SafeText, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Microseconds, nullable=False),
    Column("attempted_at", Microseconds),
    Column("confirmed_at", Microseconds),
    Column("last_error", SafeText),
    Column("next_attempt_at", Microseconds),
    Column("resent_at", Microseconds),
)

NOTICE: Final = Table(
    "notice",
    REALM_TABLES,
    Column("alert_id", Uuid, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("route", SafeText, primary_key=True),
    Column("group_id", Uuid, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("fate", SafeText, nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("cause", SafeText),
    Column("cause_key", SafeText),
    Column("about", Uuid),
    Column("until", Microseconds),
    Column("deliveries", ARRAY(Uuid), nullable=False),
    Column("decided_at", Microseconds, nullable=False),
)

NOTICE_TOLD: Final = Table(
    "notice_told",
    REALM_TABLES,
    Column("alert_id", Uuid, primary_key=True),
    Column("route", SafeText, primary_key=True),
    Column("group_id", Uuid, nullable=False),
    Column("revision", Integer, nullable=False),
)

NOTICE_GROUP: Final = Table(
    "notice_group",
    REALM_TABLES,
    Column("group_id", Uuid, primary_key=True),
    Column("route", SafeText, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("due_at", Microseconds),
    Column("sent_at", Microseconds),
    Column("repeat_at", Microseconds),
    Column("messages", Integer, nullable=False),
    Column("worst", SmallInteger),
)

INHIBITOR: Final = Table(
    "inhibitor",
    REALM_TABLES,
    Column("inhibition", SafeText, primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("alert_id", Uuid, primary_key=True),
)

PLANNER: Final = Table(
    "planner",
    REALM_TABLES,
    Column("is_only", Boolean, primary_key=True),
    Column("policy", SafeText),
    Column("policy_at", Microseconds),
    Column("taken", BigInteger, nullable=False),
    Column("ended", JSONB, nullable=False),
)

SOURCE_HEALTH: Final = Table(
    "source_health",
    REALM_TABLES,
    Column("source", SafeText, primary_key=True),
    Column("gateway", SafeText, primary_key=True),
    Column("kind", SafeText, nullable=False),
    Column("started_at", Microseconds, nullable=False),
    Column("reported_at", Microseconds, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("messages_in", BigInteger, nullable=False),
    Column("decoded", BigInteger, nullable=False),
    Column("rejected", JSONB, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("observations", BigInteger, nullable=False),
    Column("shed", JSONB, nullable=False),
    Column("ignored", JSONB, nullable=False),
    Column("last_seen_at", Microseconds),
    Column("last_observed_at", Microseconds),
    Column("lag_s", Double),
    Column("clock_offset_s", Double),
    Column("detail", SafeText, nullable=False),
)

HEARTBEAT: Final = Table(
    "heartbeat",
    REALM_TABLES,
    Column("process", SafeText, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("reported_at", Microseconds, nullable=False),
    Column("detail", JSONB, nullable=False),
)

ASSET: Final = Table(
    "asset",
    REALM_TABLES,
    Column("subject", SafeText, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("name_ja", SafeText, nullable=False),
    Column("name_en", SafeText, nullable=False),
)

EXEMPTION: Final = Table(
    "exemption",
    REALM_TABLES,
    Column("exemption_id", BigInteger, Identity(always=True), primary_key=True),
    Column("subject", SafeText, nullable=False),
    Column("rule", SafeText),
    Column("reason", SafeText, nullable=False),
    Column("author", SafeText, nullable=False),
    Column("created_at", Microseconds, nullable=False),
    Column("expires_at", Microseconds, nullable=False),
)

COMMAND_REQUEST: Final = Table(
    "command_request",
    REALM_TABLES,
    Column("request_id", Uuid, primary_key=True),
    Column("asset", SafeText, nullable=False),
    Column("verb", SafeText, nullable=False),
    Column("arguments", JSONB, nullable=False),
    Column("requested_by", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("holder", SafeText),
    Column("created_at", Microseconds, nullable=False),
    Column("expires_at", Microseconds, nullable=False),
    Column("answered_at", Microseconds),
    Column("answer", JSONB),
)

INCIDENT: Final = Table(
    "incident",
    REALM_TABLES,
    Column("incident_id", Uuid, primary_key=True),
    Column("number", SafeText, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("type", SafeText, nullable=False),
    Column("title", SafeText, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("owner", SafeText),
    Column("participants", ARRAY(SafeText), nullable=False),
    Column("place", SafeText, nullable=False),
    Column("position", point_column_type()),
    Column("alerts", ARRAY(Uuid), nullable=False),
    Column("tracks", ARRAY(Uuid), nullable=False),
    Column("areas", ARRAY(SafeText), nullable=False),
    Column("tasks", JSONB, nullable=False),
    Column("attachments", JSONB, nullable=False),
    Column("opened_by", SafeText, nullable=False),
    Column("opened_at", Microseconds, nullable=False),
    Column("changed_at", Microseconds, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
    Column("closed_at", Microseconds),
    Column("merged_into", Uuid),
    Column("split_from", Uuid),
)

INCIDENT_EVENT: Final = Table(
    "incident_event",
    REALM_TABLES,
    Column("event_id", BigInteger, Identity(always=True), primary_key=True),
    Column("incident_id", Uuid, nullable=False),
    Column("entry", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("observed_at", Microseconds, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
    Column("detail", JSONB, nullable=False),
)

INCIDENT_NUMBER: Final = Table(
    "incident_number",
    REALM_TABLES,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
)

ATTACHMENT_CONTENT: Final = Table(
    "attachment_content",
    REALM_TABLES,
    Column("sha256", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("recorded_at", Microseconds, nullable=False),
)

IDEMPOTENCY: Final = Table(
    "idempotency",
    REALM_TABLES,
    Column("actor", SafeText, primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("outcome", JSONB),
    Column("recorded_at", Microseconds, nullable=False),
)
