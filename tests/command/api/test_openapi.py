"""The API against its own description, by schemathesis: each operation, with input that is allowed and that is not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from command.api.rate import RateRules
from command.domain.people import Role
from command.operations.people import GRANTS
from command.operations.tokens import SCOPES

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.fixture
def rate_rules() -> RateRules:
    """One person asks some thousand times in a minute."""
    return RateRules(requests_per_s=10_000.0, burst=100_000)


@pytest.mark.timeout(300)
def test_no_request_is_answered_with_a_server_error_or_other_than_described(web: Any, tmp_path: Path) -> None:
    # given a picture with a vessel, an alert and an incident, and an officer
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    alert = web.raise_alert(vessel)
    with web.signed_in(Role.OFFICER) as officer:
        opened = officer.post("/api/incidents", json={"type": "other", "title": "漂流物", "severity": "low"})
        form = {"csrf": officer.cookies["_csrf_token"], "name": "試験", "days": "1", "password": web.password}
        scopes = [scope for scope in SCOPES if Role.OFFICER in GRANTS[scope]]
        made = officer.post("/account/tokens", data={**form, "scope": scopes}, headers={"X-CSRFToken": ""})
        (token,) = re.findall(r"<code>(mizugiwa_[\w-]{43})</code>", made.text)
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        f"""[parameters]
alert_id = "{alert.alert_id}"
track_id = "{vessel.track_id}"
"path.incident_id" = "{opened.json()["incident_id"]}"
""",
        "utf-8",
    )
    # when every operation is asked with what its description allows, and with what it does not
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *["--config-file", str(config)],
            *["run", f"{web.url}/api/openapi.json", "--header", f"Authorization: Bearer {token}"],
            *["--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", "3"],
            # a broker is asked there, and none is here: test_deliveries.py has one. A PDF costs a second to lay out.
            *["--exclude-path", "/api/deliveries/dead-letters/republish", "--exclude-path-regex", r"\.pdf$"],
            *["--generation-deterministic", "--suppress-health-check", "all", "--no-color"],
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    # then it has asked them all and found nothing
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"Selected: (\d+)/\d+\s+Tested: \1\s", done.stdout), done.stdout[-3000:]
