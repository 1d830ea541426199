"""The incident that is open on the right: where it stands and what may come next, its orders, links, files and log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from dash import Dash, Input, Output, html
from dash.development.base_component import Component
from pydantic import Field

from command.domain.alert import Alert
from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.incident import (
    INCIDENT_STEPS,
    TASK_STEPS,
    Incident,
    IncidentEvent,
    IncidentEventKind,
    Task,
    TaskState,
)
from command.domain.incident_acts import ASSIGNEE_LIMIT, COMMENT_LIMIT, REASON_LIMIT, TASK_LIMIT, TITLE_LIMIT
from command.i18n import text
from command.i18n.times import jst
from command.operations.access import needs
from command.operations.console import Console
from command.operations.incident_words import event_words, size_words
from command.operations.incidents import IncidentNotFound
from command.operations.people import Permission, Person, StoreUnavailable, current_language, current_person
from command.operations.triage import dms
from dashboards.marks import key_hint, marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.plain_input import plain_input
from dashboards.words import jst_clock

LOGIN_LIMIT = 256
_HOST_DIFFERS_US = 60 * US_PER_S


class IncidentDrawerConfig(PanelConfig):
    """log: how many entries are shown, the newest. alerts: how many linked ones."""

    log: int = Field(default=100, ge=10, le=500)
    alerts: int = Field(default=30, ge=5, le=200)


class IncidentDrawer:
    """Loaded when the selection changes, and again when any incident did. The forms under it stay as they are."""

    Config: ClassVar[type[PanelConfig]] = IncidentDrawerConfig
    place: ClassVar[Place] = Place.RIGHT

    def __init__(self, config: IncidentDrawerConfig) -> None:
        self._config = config

    def layout(self, view: View) -> Component:
        if not view.person.may(Permission.READ_INCIDENTS):
            return html.Div(hidden=True)
        return html.Section(
            id="incident-panel",
            className="incident-panel",
            **marks(aria_label=view.t("incident.desk.drawer")),
            children=[
                html.Div(id="incident", className="detail", tabIndex=-1),
                _task_form(view),
                _join_form(view),
                _split_form(view),
                _reason_form(view),
                _comment_form(view),
            ],
        )

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("incident", "children"),
            Input("incident-selected", "data"),
            Input("incidents-revision", "data"),
            prevent_initial_call=True,
        )
        @needs(Permission.READ_INCIDENTS)
        async def show(selected: str | None, _: int | str | None) -> Any:
            person, language = current_person(), current_language()
            try:
                incident_id = uuid.UUID(str(selected or ""))
            except ValueError:
                return None
            return await asyncio.to_thread(self._read, console, incident_id, person, language)

    def _read(self, console: Console, incident_id: uuid.UUID, person: Person, language: str) -> Any:
        try:
            incident = console.desk.get(incident_id, language=language)
            hand = console.hand_of(person, incident)
            log = console.desk.log(incident_id, limit=self._config.log + 1, language=language)
            alerts = console.alerts_named(incident.cited.alerts[-self._config.alerts :])
        except IncidentNotFound:
            return html.P(text(language, "incident.desk.gone"), className="empty")
        except StoreUnavailable:
            return html.P(text(language, "incident.desk.none_read"), className="empty")
        outside = [html.P(text(language, "scope.mark_help"), className="outside")] if hand is not person else []
        return [
            _head(incident, hand, language),
            *outside,
            _steps(incident, hand, language),
            _facts(console, incident, hand, language),
            *_tasks(incident, hand, language),
            *_linked(console, incident, alerts, hand, language),
            *_files(incident, hand, language),
            *_log(log, self._config.log, language),
        ]


def _head(incident: Incident, person: Person, language: str) -> Component:
    word = incident.severity.word
    buttons: list[Component] = []
    if person.may(Permission.MANAGE_INCIDENTS) and incident.is_open:
        buttons += [
            html.Button(text(language, "incident.desk.edit"), id="incident-edit", type="button"),
            html.Button(text(language, "incident.desk.merge"), id="incident-merge", type="button"),
            html.Button(text(language, "incident.desk.split"), id="incident-split", type="button"),
        ]
    buttons.append(
        html.A(
            text(language, "incident.desk.pdf"),
            href=f"/api/incidents/{incident.incident_id}.pdf",
            id="incident-pdf",
            className="button",
            download="",
            title=text(language, "incident.desk.pdf_title", number=incident.number),
        )
    )
    buttons.append(html.Button("×", id="incident-close", type="button", title=text(language, "drawer.back")))
    return html.Div(
        id="incident-head",
        className="incident-head",
        **marks(
            data_incident=str(incident.incident_id),
            data_revision=str(incident.revision),
            data_number=incident.number,
            data_type=incident.type.value,
            data_title=incident.title,
            data_severity=word,
            data_place=incident.place,
            data_owner=incident.owner or "",
            data_open=str(incident.is_open).lower(),
        ),
        children=[
            html.Div(
                [
                    html.Span(
                        [
                            html.Span(className=f"shape shape-{word}", **marks(aria_hidden="true")),
                            text(language, f"severity.{word}"),
                        ],
                        className=f"badge sev-{word}",
                    ),
                    html.Strong(incident.number, className="number"),
                    html.Div(buttons, className="buttons"),
                ],
                className="panel-head",
            ),
            html.H2(incident.title),
        ],
    )


def _steps(incident: Incident, person: Person, language: str) -> Component:
    steps = INCIDENT_STEPS[incident.state] if person.may(Permission.MANAGE_INCIDENTS) else {}
    return html.Div(
        [
            html.Span(
                text(language, f"incident.state.{incident.state.value}"),
                id="incident-state",
                className=f"state-now state-{incident.state.value}",
                title=text(language, "incident.desk.state"),
            ),
            *(
                html.Button(
                    f"→ {text(language, f'incident.state.{state.value}')}",
                    id=f"step-{state.value}",
                    key=f"step-{state.value}",
                    type="button",
                    **marks(
                        data_step=state.value,
                        data_reason=str(needed).lower(),
                        data_what=text(
                            language,
                            "incident.desk.step",
                            to=text(language, f"incident.state.{state.value}"),
                        ),
                    ),
                )
                for state, needed in steps.items()
            ),
        ],
        className="steps",
        role="group",
        **marks(aria_label=text(language, "incident.desk.next")),
    )


def _facts(console: Console, incident: Incident, person: Person, language: str) -> Component:
    opened = text(language, "incident.desk.opened_by", time=jst(incident.opened_at_us), who=incident.opened_by)
    rows: list[Component] = []
    for name, value in (
        ("incident.type", text(language, f"incident.type.{incident.type.value}")),
        ("incident.owner", incident.owner or text(language, "incident.desk.no_owner")),
        ("incident.participants", _participants(incident, person, language)),
        ("incident.place", _place(console, incident, language)),
        ("incident.position", _position(incident, language)),
        ("incident.desk.opened_at", opened),
        ("incident.state.closed", "" if incident.closed_at_us is None else jst(incident.closed_at_us)),
    ):
        if value:
            rows += [html.Dt(text(language, name)), html.Dd(value)]
    for name, other in (
        ("incident.desk.merged_into", incident.merged_into),
        ("incident.desk.split_from", incident.split_from),
    ):
        if other is not None:
            number = _number_of(console, other, language)
            rows += [
                html.Dt(text(language, name)),
                html.Dd(html.Button(number, id=f"goto-{other}", type="button", **marks(data_goto=str(other)))),
            ]
    return html.Dl(rows, className="facts")


def _participants(incident: Incident, person: Person, language: str) -> list[Any]:
    if not (incident.is_open and person.may(Permission.MANAGE_INCIDENTS)):
        return [", ".join(incident.participants)] if incident.participants else []
    return [
        *(
            html.Span(
                [
                    login,
                    html.Button(
                        "×",
                        id=f"leave-{login}",
                        type="button",
                        title=text(language, "incident.desk.leave", login=login),
                        **marks(data_leave=login, aria_label=text(language, "incident.desk.leave", login=login)),
                    ),
                ],
                key=login,
                className="participant",
            )
            for login in incident.participants
        ),
        html.Button(text(language, "incident.desk.join"), id="incident-join-open", type="button", key=" add"),
    ]


def _place(console: Console, incident: Incident, language: str) -> str:
    """In words, where there are any besides the position."""
    if incident.place or incident.position is None:
        return incident.place
    words = console.place(incident, language)
    return "" if words == dms(incident.position) else words


def _position(incident: Incident, language: str) -> list[Any]:
    position = incident.position
    if position is None:
        return []
    where = marks(data_show_lon=str(position.lon), data_show_lat=str(position.lat))
    return [dms(position), html.Button(text(language, "drawer.show"), id="incident-show", type="button", **where)]


def _number_of(console: Console, incident_id: uuid.UUID, language: str) -> str:
    try:
        return console.desk.get(incident_id, language=language).number
    except (IncidentNotFound, StoreUnavailable):
        return str(incident_id)


def _tasks(incident: Incident, person: Person, language: str) -> list[Component]:
    give: list[Component] = []
    if person.may(Permission.MANAGE_INCIDENTS) and incident.is_open:
        words: list[Any] = [text(language, "incident.desk.give_task"), key_hint("task")]
        give = [html.Button(words, id="incident-give", type="button")]
    head = html.Div([html.H3(text(language, "incident.tasks")), *give], className="part-head")
    if not incident.tasks:
        return [head, html.P(text(language, "incident.desk.no_tasks"), className="nothing")]
    in_order = sorted(incident.tasks, key=lambda task: (not task.is_open, task.given_at_us))
    return [head, html.Ul([_task(incident, task, person, language) for task in in_order], className="tasks")]


def _task(incident: Incident, task: Task, person: Person, language: str) -> Component:
    manages = person.may(Permission.MANAGE_INCIDENTS)
    own = person.may(Permission.MOVE_OWN_TASKS) and task.assignee.casefold() == person.user.login.casefold()
    steps = dict(TASK_STEPS[task.state]) if incident.is_open and (manages or own) else {}
    # the next step, done, and the two that end it early; a step between may be skipped, as by radio
    shown = [*list(steps)[:1], *(s for s in (TaskState.DONE, TaskState.REFUSED, TaskState.CANCELLED) if s in steps)]
    buttons = [
        html.Button(
            text(language, f"incident.task.{state.value}"),
            id=f"task-{task.task_id}-{state.value}",
            key=state.value,
            type="button",
            **marks(
                data_task=str(task.task_id),
                data_step=state.value,
                data_reason=str(steps[state]).lower(),
                data_what=text(
                    language,
                    "incident.desk.task_step",
                    task=task.title,
                    to=text(language, f"incident.task.{state.value}"),
                ),
            ),
        )
        for state in dict.fromkeys(shown)
        if manages or state is not TaskState.CANCELLED
    ]
    when = text(language, "incident.desk.task_changed", time=jst_clock(task.changed_at_us), who=task.changed_by)
    return html.Li(
        key=str(task.task_id),
        className=f"task {'open' if task.is_open else 'over'}",
        **marks(data_part="tasks", data_key=str(task.task_id), data_name=f"{task.title} ({task.assignee})"),
        children=[
            html.Div(
                [
                    html.Span(text(language, f"incident.task.{task.state.value}"), className="badge"),
                    html.Strong(task.title),
                ]
            ),
            html.Div([html.Span(task.assignee, className="assignee"), html.Span(when)], className="dim"),
            *([html.Div(task.reason, className="reason")] if task.reason else []),
            *([html.Div(buttons, className="buttons")] if buttons else []),
        ],
    )


def _linked(
    console: Console, incident: Incident, alerts: Sequence[Alert], person: Person, language: str
) -> list[Component]:
    cut = incident.is_open and person.may(Permission.LINK_TO_INCIDENTS)
    rows: list[Component] = []
    for alert in alerts:
        told = console.explained(alert, language)
        shape = html.Span(className=f"shape shape-{alert.severity.word}", **marks(aria_hidden="true"))
        name = f"{told.title} {told.subject}"
        shown = _on_map(
            [shape, html.Span(name), html.Time(jst_clock(alert.opened_at_us))],
            alert_id=alert.alert_id,
            track_id=alert.track_id,
            position=alert.position,
            severity=alert.severity.word,
        )
        rows.append(_linked_row([shown], "alerts", str(alert.alert_id), name, language, cut=cut))
    for track_id in incident.cited.tracks:
        track = console.picture.track(track_id)
        name = str(track_id) if track is None else console.picture.label(track, language)
        kind = "" if track is None else text(language, f"kind.{track.kind.name.lower()}")
        shown = _on_map(
            [html.Span(kind or text(language, "incident.tracks"), className="badge"), html.Span(name)],
            track_id=track_id,
            position=None if track is None else track.position,
        )
        rows.append(_linked_row([shown], "tracks", str(track_id), name, language, cut=cut))
    names = {area.slug: area.name_ja if language == "ja" else area.name_en for area in console.areas}
    for slug in incident.cited.areas:
        name = names.get(slug, slug)
        label = html.Span(text(language, "incident.areas"), className="badge")
        rows.append(_linked_row([label, html.Span(name)], "areas", slug, name, language, cut=cut))
    head = html.H3(text(language, "incident.linked"))
    if not rows:
        return [head, html.P(text(language, "incident.desk.no_linked"), className="nothing")]
    return [head, html.Ul(rows, className="linked")]


def _on_map(
    words: list[Component],
    *,
    track_id: uuid.UUID | None,
    position: Position | None,
    alert_id: uuid.UUID | None = None,
    severity: str | None = None,
) -> Component:
    """A button that shows what is linked on the map, and leaves the incident open."""
    button: Component = html.Button(
        words,
        id=f"linked-{alert_id or track_id}",
        type="button",
        className=f"sev-{severity}" if severity else "",
        **marks(
            data_linked=str(alert_id or ""),
            data_track=str(track_id or ""),
            data_lon="" if position is None else str(position.lon),
            data_lat="" if position is None else str(position.lat),
        ),
    )
    return button


def _linked_row(shown: list[Component], what: str, key: str, name: str, language: str, *, cut: bool) -> Component:
    words = text(language, "incident.desk.unlink", what=name)
    unlink = html.Button(
        "×",
        id=f"unlink-{key}",
        type="button",
        title=words,
        className="unlink",
        **marks(data_unlink=what, data_key=key, data_what=words, aria_label=words),
    )
    marked = marks(data_part=what, data_key=key, data_name=name)
    row: Component = html.Li([*shown, *([unlink] if cut else [])], key=key, className=what, **marked)
    return row


def _files(incident: Incident, person: Person, language: str) -> list[Component]:
    attach = []
    if person.may(Permission.COMMENT_ON_INCIDENTS) and incident.merged_into is None:
        attach = [html.Button(text(language, "incident.desk.attach"), id="incident-attach", type="button")]
    head = html.Div([html.H3(text(language, "incident.attachments")), *attach], className="part-head")
    if not incident.attachments:
        return [head, html.P(text(language, "incident.desk.no_files"), className="nothing")]
    rows = [
        html.Li(
            [
                html.A(
                    file.name,
                    href=f"/api/incidents/{incident.incident_id}/attachments/{file.attachment_id}",
                    id=f"file-{file.attachment_id}",
                )
                if person.may(Permission.READ_INCIDENT_FILES)
                else html.Span(file.name),
                html.Span(f"{size_words(file.size_bytes)}  {file.added_by} {jst_clock(file.added_at_us)}"),
                html.Code(f"SHA-256 {file.sha256[:16]}…", title=file.sha256),
            ],
            key=str(file.attachment_id),
        )
        for file in incident.attachments
    ]
    return [head, html.Ul(rows, className="files")]


def _log(log: Sequence[tuple[str, IncidentEvent]], most: int, language: str) -> list[Component]:
    numbers = {number for number, _ in log}
    rows = [
        html.Li(
            key=str(event.event_id),
            className=f"entry entry-{event.kind.value}",
            children=[
                html.Div(
                    [
                        html.Span(
                            text(language, f"incident.event.{event.kind.value}"),
                            className="kind",
                        ),
                        *([html.Span(number, className="number")] if len(numbers) > 1 else []),
                        html.Strong(event.actor),
                        html.Time(jst(event.observed_at_us)),
                        *_recorded(event, language),
                    ],
                    className="dim",
                ),
                html.Div(
                    event_words(event, language),
                    className="said" if event.kind is IncidentEventKind.COMMENTED else "fact-line",
                ),
            ],
        )
        for number, event in log[:most]
    ]
    more = [html.P(text(language, "incident.desk.log_more"), className="nothing")] if len(log) > most else []
    return [html.H3(text(language, "incident.desk.log")), html.Ol(rows, className="log", id="incident-log"), *more]


def _recorded(event: IncidentEvent, language: str) -> list[Component]:
    """The host's time, where the realm's is another."""
    if abs(event.recorded_at_us - event.observed_at_us) < _HOST_DIFFERS_US:
        return []
    words = text(language, "incident.desk.recorded", time=jst(event.recorded_at_us))
    return [html.Time(words, className="recorded")]


def _task_form(view: View) -> Component:
    return html.Form(
        id="incident-task",
        className="ack",
        hidden=True,
        **marks(aria_label=view.t("incident.desk.give_task")),
        children=[
            html.P(view.t("incident.desk.give_task"), className="ack-what"),
            html.Label(view.t("incident.task"), htmlFor="incident-task-title"),
            plain_input("incident-task-title", limit=TASK_LIMIT, needed=True),
            html.Label(view.t("incident.assignee"), htmlFor="incident-task-assignee"),
            plain_input("incident-task-assignee", limit=ASSIGNEE_LIMIT, needed=True),
            html.P(view.t("incident.desk.form_help"), className="help"),
            html.P(id="incident-task-error", className="error", role="alert", hidden=True),
            _buttons(view, "incident-task"),
        ],
    )


def _join_form(view: View) -> Component:
    return html.Form(
        id="incident-join",
        className="ack",
        hidden=True,
        **marks(aria_label=view.t("incident.desk.join")),
        children=[
            html.P(view.t("incident.desk.join"), className="ack-what"),
            html.Label(view.t("login.login"), htmlFor="incident-join-login"),
            plain_input("incident-join-login", limit=LOGIN_LIMIT, needed=True),
            html.P(view.t("incident.desk.form_help"), className="help"),
            html.P(id="incident-join-error", className="error", role="alert", hidden=True),
            _buttons(view, "incident-join"),
        ],
    )


def _split_form(view: View) -> Component:
    """The parts to choose from are put in by the page's script."""
    return html.Form(
        id="incident-part",
        className="ack",
        hidden=True,
        **marks(aria_labelledby="incident-part-what"),
        children=[
            html.P(id="incident-part-what", className="ack-what"),
            html.Div(
                id="incident-parts",
                className="parts",
                role="group",
                **marks(aria_label=view.t("incident.desk.split_parts")),
            ),
            html.Label(view.t("incident.title"), htmlFor="incident-part-title"),
            plain_input("incident-part-title", limit=TITLE_LIMIT, needed=True),
            html.Label(view.t("incident.desk.reason_needed"), htmlFor="incident-part-reason"),
            plain_input("incident-part-reason", limit=REASON_LIMIT, needed=True),
            html.P(view.t("incident.desk.form_help"), className="help"),
            html.P(id="incident-part-error", className="error", role="alert", hidden=True),
            _buttons(view, "incident-part"),
        ],
    )


def _reason_form(view: View) -> Component:
    return html.Form(
        id="incident-why",
        className="ack",
        hidden=True,
        **marks(aria_labelledby="incident-why-what"),
        children=[
            html.P(id="incident-why-what", className="ack-what"),
            html.Label(view.t("incident.desk.reason_needed"), htmlFor="incident-why-reason"),
            plain_input("incident-why-reason", limit=REASON_LIMIT),
            html.P(view.t("incident.desk.form_help"), className="help"),
            html.P(id="incident-why-error", className="error", role="alert", hidden=True),
            _buttons(view, "incident-why"),
        ],
    )


def _comment_form(view: View) -> Component:
    return html.Form(
        id="incident-say",
        className="ack say",
        hidden=not view.person.may(Permission.COMMENT_ON_INCIDENTS),
        **marks(aria_label=view.t("incident.comment")),
        children=[
            html.Label(view.t("incident.desk.comment_hint"), htmlFor="incident-comment"),
            plain_input("incident-comment", limit=COMMENT_LIMIT, lines=2),
            html.P(id="incident-say-error", className="error", role="alert", hidden=True),
            html.Div(
                [
                    html.Button(view.t("incident.desk.write"), id="incident-say-send", type="submit", className="go"),
                    html.Span(view.t("incident.desk.comment_help"), className="help"),
                ],
                className="buttons",
            ),
        ],
    )


def _buttons(view: View, form: str) -> Component:
    return html.Div(
        [
            html.Button(view.t("incident.desk.send"), id=f"{form}-send", type="submit", className="go"),
            html.Button(view.t("incident.desk.cancel"), type="button", **marks(data_close=form)),
        ],
        className="buttons",
    )
