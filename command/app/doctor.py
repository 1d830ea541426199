"""What is missing on this machine and in the settings."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from alerts.engine import BadRuleConfig, check_rule_config
from alerts.policy import BadPolicy
from command.app.accounts import openid_provider
from command.app.alerting import check_policy
from command.app.sources import make_feeds
from command.operations.keys import AUDIT_KEY, CODES_KEY, BadKey, audit_key, codes_key
from command.services.doctor import Finding, examine
from command.services.openid import ProviderAway
from command.settings import BadSettings, OpenIdSettings, Settings

BUNDLE: Final = Path(str(resources.files("dashboards"))) / "assets" / "map"


def examine_machine(settings: Settings) -> Iterator[Finding]:
    """The verb `doctor`."""
    yield from examine(
        settings.data_dir,
        database_url=settings.database_url,
        amqp_url=settings.amqp_url,
        web_host=settings.web.host,
        web_port=settings.web.port,
        bundle=BUNDLE,
    )
    try:
        feeds = make_feeds(settings.sources)
    except BadSettings as exc:
        yield Finding(what="sources", well=False, detail=str(exc), mend="correct it in the settings file")
    else:
        names = ", ".join(feed.name for feed in feeds)
        yield Finding(what="sources", well=True, detail=names or "none configured: `mizugiwa up` runs a drill")
    for rule, config in settings.rules.items():
        try:
            check_rule_config(rule, config)
        except BadRuleConfig as exc:
            yield Finding(what=f"rules.{rule}", well=False, detail=str(exc), mend="correct it in the settings file")
    if settings.alerts_policy is not None:
        yield _policy(settings)
    yield from _keys(settings.keys_dir)
    if settings.people.openid is not None:
        yield _provider(settings.people.openid)


def _policy(settings: Settings) -> Finding:
    """A policy that is not good does not stop a start: the last good one holds, so it is said here too."""
    try:
        told = check_policy(settings, settings.alerts_policy or Path())
    except (BadPolicy, BadSettings) as exc:
        mend = "correct it; `mizugiwa alerts check` says whether it is good"
        return Finding(what="alerts_policy", well=False, detail=str(exc), mend=mend)
    return Finding(what="alerts_policy", well=True, detail=told)


def _provider(openid: OpenIdSettings) -> Finding:
    """Whether the identity provider answers, now. People with a password sign in without it."""
    what = "people.openid"
    try:
        issuer = openid_provider(openid).check()
    except BadSettings as exc:
        return Finding(what=what, well=False, detail=str(exc), mend="correct it in the settings file")
    except ProviderAway as exc:
        mend = "let this machine reach the provider, or correct [people.openid]; passwords work meanwhile"
        return Finding(what=what, well=False, detail=str(exc), mend=mend)
    return Finding(what=what, well=True, detail=f"{issuer} answers")


def _keys(keys_dir: Path) -> Iterator[Finding]:
    """The keys that were made. One that is not there yet is made at the first start."""
    for name, read in ((AUDIT_KEY, audit_key), (CODES_KEY, codes_key)):
        path = keys_dir / name
        if not path.exists():
            continue
        try:
            read(keys_dir)
        except BadKey as exc:
            yield Finding(
                what=name, well=False, detail=str(exc), mend=f"chmod 600 {path}, or put it back from its copy"
            )
        else:
            yield Finding(what=name, well=True, detail="can be read by its own account only")
