"""The page on which people see to what has not gone out. It needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from starlette.responses import HTMLResponse

from alerts.explain import rule_name
from command.api.people_pages import Reader
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.deliveries import (
    MOST_SHOWN,
    REASON_LIMIT,
    ChannelTold,
    Delivery,
    DeliveryState,
    Overview,
    about,
)
from command.operations.people import Permission


def deliveries_page(
    reader: Reader, found: Overview, *, channel: str | None, error: str | None, note: str | None
) -> HTMLResponse:
    """Channels with their counts, then every delivery that has not gone out. channel: the one that is shown alone."""
    may = reader.person.may(Permission.RESEND_DELIVERIES)
    dead = [each for each in found.deliveries if each.state is DeliveryState.DEAD]
    others = [each for each in found.deliveries if each.state is not DeliveryState.DEAD]
    only = ""
    if channel is not None:
        every = f'<a href="/deliveries">{reader.t("deliveries.all")}</a>'
        only = f"<p>{reader.t('deliveries.only', channel=channel)} {every}</p>"
    body = (
        f"<p class=help>{reader.t('deliveries.why')}</p>"
        + f"<h2>{reader.t('deliveries.channels')}</h2>"
        + _channels(reader, found.channels, may=may)
        + _dead_letters(reader, found.dead_letters, may=may)
        + only
        + f"<h2>{reader.t('deliveries.dead')}</h2>"
        + _table(reader, dead, may=may, name="deliveries.dead", empty="deliveries.no_dead")
        + f"<h2>{reader.t('deliveries.on_the_way')}</h2>"
        + _table(reader, others, may=may, name="deliveries.on_the_way", empty="deliveries.nothing_waits")
    )
    if len(found.deliveries) >= MOST_SHOWN:
        body += f"<p class=help>{reader.t('deliveries.more', most=MOST_SHOWN)}</p>"
    return reader.page(text(reader.language, "deliveries.title"), body, error=error, note=note)


def _act(reader: Reader, what: str, of: str, *, kind: str = "quiet", about_what: str = "", inside: str = "") -> str:
    hidden = f'<input type="hidden" name="what" value="{what}"><input type="hidden" name="of" value="{escape(of)}">'
    return reader.form("/deliveries", hidden + inside + reader.button(f"deliveries.{what}", kind=kind, of=about_what))


def _level(reader: Reader, told: ChannelTold) -> str:
    """A shape, a word, and a colour."""
    if told.dead:
        level, mark = "bad", "✕"
    elif told.trouble or told.failing:
        level, mark = "watch", "▲"
    else:
        level, mark = "good", "●"
    word = reader.t(f"health.level_{level}")
    return f'<span class="level level-{level}"><span aria-hidden="true">{mark}</span> {word}</span>'


def _channels(reader: Reader, channels: Sequence[ChannelTold], *, may: bool) -> str:
    if not channels:
        return f"<p>{reader.t('deliveries.no_channels')}</p>"
    words = ("channel", "state", "waiting", "failing", "dead_count", "last_sent", "trouble")
    heads = "".join(
        f'<th scope="col"{" class=number" if key in ("waiting", "failing", "dead_count") else ""}>'
        f"{reader.t(f'deliveries.{key}')}</th>"
        for key in words
    )
    heads += f'<th scope="col"><span class="unseen">{reader.t("deliveries.acts")}</span></th>' if may else ""
    rows = ""
    for told in channels:
        act = ""
        if may and (told.dead or told.failing):
            act = reader.ask(
                "deliveries.resend_channel",
                _act(reader, "resend_channel", told.name, kind="go", about_what=told.name),
                of=told.name,
            )
        since = ""
        if told.trouble and told.failing_since_us is not None:
            since = f" ({reader.t('health.since', time=jst_minute(told.failing_since_us))})"
        rows += (
            f'<tr><th scope="row"><a href="/deliveries?channel={escape(told.name)}">{escape(told.name)}</a></th>'
            f"<td>{_level(reader, told)}</td><td class=number>{told.waiting:,}</td>"
            f"<td class=number>{told.failing:,}</td><td class=number>{told.dead:,}</td>"
            f"<td>{'-' if told.last_sent_us is None else jst_minute(told.last_sent_us)}</td>"
            f"<td>{escape(told.trouble or '')}{since}</td>" + (f"<td>{act}</td>" if may else "") + "</tr>"
        )
    return _scrolled(reader, "deliveries.channels", heads, rows)


def _dead_letters(reader: Reader, waiting: int | None, *, may: bool) -> str:
    """What the teams' own programs refused, which lies at the broker."""
    if waiting is None:
        return f"<p class=help>{reader.t('deliveries.broker_silent')}</p>"
    if not waiting:
        return ""
    told = f'<p class="error">{reader.t("deliveries.dead_letters", n=f"{waiting:,}")}</p>'
    return told + (reader.ask("deliveries.republish", _act(reader, "republish", "all", kind="go")) if may else "")


def _table(reader: Reader, deliveries: Sequence[Delivery], *, may: bool, name: str, empty: str) -> str:
    if not deliveries:
        return f"<p>{reader.t(empty)}</p>"
    heads = "".join(f'<th scope="col">{reader.t(f"deliveries.{key}")}</th>' for key in ("alert", "state", "why_not"))
    heads += f'<th scope="col"><span class="unseen">{reader.t("deliveries.acts")}</span></th>' if may else ""
    rows = "".join(_row(reader, delivery, may=may) for delivery in deliveries)
    return _scrolled(reader, name, heads, rows)


def _row(reader: Reader, delivery: Delivery, *, may: bool) -> str:
    said = about(delivery)
    title = _title(reader, delivery)
    severity = f"{reader.t('severity.' + said['severity'])} " if said else ""
    made = [
        escape(delivery.channel),
        reader.t("deliveries.revision", n=delivery.revision),
        reader.t("deliveries.since", time=jst_minute(delivery.created_at_us)),
    ]
    if delivery.resent_at_us is not None:
        made.append(reader.t("deliveries.resent", time=jst_minute(delivery.resent_at_us)))
    following = ""
    if delivery.next_attempt_at_us is not None:
        time = jst_minute(delivery.next_attempt_at_us)
        following = f"<br><small>{reader.t('deliveries.next', time=time)}</small>"
    acts = ""
    if may:
        acts = '<div class="acts">'
        if delivery.state is not DeliveryState.PENDING:
            acts += _act(reader, "resend", str(delivery.delivery_id), about_what=title)
        box = f"reason-{delivery.delivery_id}"
        reason = (
            f'<label for="{box}">{reader.t("deliveries.reason")}</label>'
            f'<input id="{box}" name="reason" required maxlength="{REASON_LIMIT}" autocomplete="off">'
        )
        give_up = _act(reader, "give_up", str(delivery.delivery_id), kind="go", about_what=title, inside=reason)
        acts += reader.ask("deliveries.give_up", give_up, of=title) + "</div>"
    return (
        f'<tr><th scope="row" class="what"><a href="/#alert={delivery.alert_id}">{severity}{escape(title)}</a><br>'
        f"<small>{' / '.join(made)}</small></th>"
        f"<td class=level>{reader.t(f'deliveries.state_{delivery.state.value}', n=delivery.attempts)}{following}</td>"
        f"<td class=why>{escape(delivery.last_error or '')}</td>" + (f"<td>{acts}</td>" if may else "") + "</tr>"
    )


def _title(reader: Reader, delivery: Delivery) -> str:
    """What the alert is called; its id where no message could be made of it."""
    said = about(delivery)
    if not said:
        return str(delivery.alert_id)
    return f"{rule_name(said['rule'], reader.language)}: {said['subject_label'][reader.language]}"


def _scrolled(reader: Reader, name: str, heads: str, rows: str) -> str:
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{reader.t(name)}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
