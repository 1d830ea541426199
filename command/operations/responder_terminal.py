"""The terminal client of a team: open alerts, one in full, and the answers to it, on 80 columns by 24 lines.

It works over ssh and measures Japanese as a terminal does. What must never be missed, that nothing can be received, is
the first line and says so in words, in colour and with the bell. Letters and digits alone act, because a key that needs
Ctrl or a mouse is not found at night with gloves on.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from datetime import datetime
from time import monotonic, time_ns
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.coordinate import Coordinate
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Label, Static

from alerts.explain import rule_name, severity_word
from alerts.message import ALERT, unknown_fields
from command.domain.alert import Severity
from command.domain.clock import from_us, to_us
from command.domain.realm import Realm
from command.domain.response import COMMENT_LIMIT, NEEDS_COMMENT, RESPONDER_LIMIT, ResponseKind, TeamState
from command.i18n import text
from command.i18n.times import JST, jst
from command.operations.responder_line import called_words, clean, position_text
from command.operations.responder_members import MEMBER_OF
from command.operations.responder_watch import Look, Watch, state_of

LOOK_EVERY_S: Final = 0.25
BELL_EVERY_S: Final = 15.0
"""The bell rings so often while nothing can be received, or while a critical alert has no answer of ours."""
_LISTED: Final = 300
_FINISHED: Final = frozenset({TeamState.CLOSED, TeamState.DECLINED})
_STYLES: Final[Mapping[str, str]] = {
    "critical": "bold white on dark_red",
    "high": "bold orange1",
    "medium": "yellow",
    "low": "steel_blue1",
}
_WIDTHS: Final = (11, 5, 24, 20, 10)
"""Columns of the list in cells; with what stands between them they fit in 80."""


class Ask(ModalScreen[str | None]):
    """A line to write; None where it was left with Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, *, title: str, label: str, value: str, needed: bool, limit: int, language: str) -> None:
        super().__init__()
        self._title, self._label, self._value = title, label, value
        self._needed, self._limit, self._language = needed, limit, language

    def compose(self) -> ComposeResult:
        with Vertical(id="ask"):
            yield Label(self._title, id="ask-title", markup=False)
            yield Label(self._label, markup=False)
            yield Input(value=self._value, id="ask-line")
            yield Label("", id="ask-error", markup=False)
            yield Label(text(self._language, "terminal.ask.help"), id="ask-help", markup=False)

    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    def _send(self, event: Input.Submitted) -> None:
        said = " ".join(event.value.split())
        error = ""
        if self._needed and not said:
            error = text(self._language, "terminal.ask.missing")
        elif len(said) > self._limit:
            error = text(self._language, "terminal.ask.too_long", limit=self._limit)
        if error:
            self.query_one("#ask-error", Label).update(error)
        else:
            self.dismiss(said)


class Terminal(App[None]):
    """The client over a `Watch`, which whoever makes it begins and ends."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #head { height: 1; background: $panel; }
    #line { height: 1; background: darkgreen; color: white; }
    #line.wait { background: darkgoldenrod; color: black; }
    #line.bad { background: red; color: white; text-style: bold blink; height: 2; }
    #told { height: auto; max-height: 2; background: $surface; color: $warning; }
    #list { height: 1fr; min-height: 5; }
    #detail { height: 11; border-top: solid $accent; padding: 0 1; }
    Ask { align: center middle; }
    #ask { width: 72; height: auto; border: thick $accent; padding: 0 1; background: $surface; }
    #ask-title { text-style: bold; }
    #ask-error { color: $error; }
    #ask-help { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(i + 1), f"answer('{kind.value}')", kind.value) for i, kind in enumerate(ResponseKind)),
        Binding("h", "history", "history"),
        Binding("x", "all", "all"),
        Binding("n", "name", "name"),
        Binding("l", "language", "language"),
        Binding("q", "quit", "quit"),
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
        Binding("ctrl+c", "quit", show=False),
    ]

    def __init__(self, watch: Watch, *, language: str, bell_every_s: float = BELL_EVERY_S) -> None:
        super().__init__()
        self._watch, self._language, self._bell_every_s = watch, language, bell_every_s
        self._look = watch.look()
        self._shown_number = -1
        self._everything = self._historical = False
        self._told: tuple[float, str] | None = None
        self._rung_at_s = -bell_every_s
        self._ids: list[str] = []
        self.bells = 0
        """How often it rang."""

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Static(id="line", markup=False)
        yield Static(id="told", markup=False)
        yield DataTable(id="list", cursor_type="row", zebra_stripes=True, cell_padding=1)
        with VerticalScroll(id="detail", can_focus=False):
            yield Static(id="facts", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.theme = "textual-dark"
        for number in (signal.SIGTERM, signal.SIGHUP):  # a line that is hung up: leave the terminal as it was
            asyncio.get_running_loop().add_signal_handler(number, self.exit)
        self._name_keys()
        self._columns()
        self._refresh_all()
        self.set_interval(LOOK_EVERY_S, self._refresh_all)
        self.query_one(DataTable).focus()
        if not self._watch.responder:
            self.action_name()

    # ---- what is seen -----------------------------------------------------------------------------------------

    def t(self, key: str, **params: Any) -> str:
        return text(self._language, key, **params)

    def _refresh_all(self) -> None:
        if not self.query("#list"):  # the clock ticks once more while everything is taken down
            return
        self._look = look = self._watch.look()
        self._show_head(look)
        if look.number != self._shown_number:
            self._shown_number = look.number
            self._show_list(look)
            self._show_detail()
        self._ring(look)

    def _show_head(self, look: Look) -> None:
        realm: Realm = self._watch.realm
        kind = realm.kind.value
        banner = f" {self.t(f'terminal.banner.{kind}')} "
        style = "bold white on blue" if kind == "live" else "bold black on yellow"
        clock = f"{from_us(time_ns() // 1_000).astimezone(JST):%H:%M:%S} JST"
        head = Text.assemble(
            (banner, style), f" {self.t('terminal.title', team=self._watch.team)} {self._watch.responder} "
        )
        if look.waiting:
            head.append(f" {self.t('terminal.waiting', n=look.waiting)} ", style="bold black on orange1")
        width = max(0, self.size.width - cell_len(clock) - 1)
        head.truncate(width, overflow="ellipsis", pad=True)
        self.query_one("#head", Static).update(head.append(clock))
        line = self.query_one("#line", Static)
        words, level = self._line(look)
        line.set_class(level == "bad", "bad")
        line.set_class(level == "wait", "wait")
        # else the mark would stand on a row of its own: Japanese has no spaces to break at
        line.update(Text(f" {clean(words)}".replace("!!! ", "!!!\u00a0")))
        told = self._note(look)
        note = self.query_one("#told", Static)
        note.display = bool(told)
        note.update(Text(clean(told)))

    def _line(self, look: Look) -> tuple[str, str]:
        """What is to be said of the line, and whether it is good, bad, or to be waited for."""
        if look.standing_by:
            return self.t("terminal.standing_by"), "wait"
        if look.away:
            return self.t("terminal.away", trouble=look.trouble or ""), "bad"
        if look.silent:
            return self.t("terminal.silent", seconds=round(look.heard_s or 0)), "bad"
        if look.state.value != "running":
            return self.t(f"respond.state.{look.state.value}"), "bad"
        if not look.connected:
            return self.t("terminal.connecting"), "wait"
        return self.t("terminal.safe", seconds=round(look.heard_s or 0)), "good"

    def _note(self, look: Look) -> str:
        """The latest word to the person, for a while; what stays wrong, as long as it does."""
        if self._told is not None and monotonic() - self._told[0] < 10.0:
            return self._told[1]
        if look.problem is not None:
            return self.t("terminal.problem", problem=look.problem)
        if look.unable:
            return self.t("terminal.unable")
        if look.notices:
            key, params = look.notices[-1]
            why = params.get("why")
            shown = {**params, "why": "" if why is None else why[self._language]}
            return self.t(f"terminal.notice.{key}", **shown)
        return ""

    def _open(self, look: Look) -> list[Mapping[str, Any]]:
        """Alerts that go on, or that we have not finished with."""
        team = self._watch.team

        def unfinished(body: Mapping[str, Any]) -> bool:
            state = state_of(body, team)
            return body["cleared_at"] is None or (state is not None and state not in _FINISHED)

        return [body for body in look.alerts if self._everything or unfinished(body)][:_LISTED]

    def _columns(self) -> None:
        table = self.query_one(DataTable)
        table.clear(columns=True)
        for name, width in zip(("severity", "time", "what", "where", "ours"), _WIDTHS, strict=True):
            table.add_column(self.t(f"terminal.column.{name}"), width=width, key=name)

    def _show_list(self, look: Look, *, chosen: str | None = None) -> None:
        """The cursor stays on its alert, whatever comes above it."""
        table = self.query_one(DataTable)
        chosen = chosen or self._chosen_id()
        table.clear()
        bodies = self._open(look)
        self._ids = [body["alert_id"] for body in bodies]
        for body in bodies:
            table.add_row(*self._row(body), key=body["alert_id"])
        if chosen in self._ids:
            table.cursor_coordinate = Coordinate(self._ids.index(chosen), 0)

    def _row(self, body: Mapping[str, Any]) -> list[Text]:
        severity, language = body["severity"], self._language
        word = f"{self.t(f'respond.mark.{severity}')} {severity_word(Severity.from_word(severity), language)}"
        opened = datetime.fromisoformat(body["opened_at"]).astimezone(JST)
        area = body["area"]
        place = body["position"]
        where = area["name"][language] if area else position_text(place["lon"], place["lat"]) if place else ""
        what = f"{body['subject_label'][language]} {rule_name(body['rule'], language)}"
        over = "dim " if body["cleared_at"] is not None else ""
        cells = (word, f"{opened:%H:%M}", what, where, self._ours(body))
        styles = (over + _STYLES[severity], over, over, over, over + "bold")
        row = [Text(clean(cell), style=style.strip()) for cell, style in zip(cells, styles, strict=True)]
        for cell, width in zip(row, _WIDTHS, strict=True):
            cell.truncate(width, overflow="ellipsis")
        return row

    def _ours(self, body: Mapping[str, Any]) -> str:
        """Where we stand, in a word."""
        if any(answer.result is None for answer in self._watch.answers(body["alert_id"])):
            return self.t("terminal.ours.waiting")
        state = state_of(body, self._watch.team)
        return self.t("terminal.ours.none") if state is None else self.t(f"response.state.{state.value}")

    def _show_detail(self) -> None:
        facts = self.query_one("#facts", Static)
        body = self._chosen()
        if body is None:
            facts.update(Text(self.t("terminal.none") if not self._ids else ""))
            return
        facts.update(self._history(body) if self._historical else self._facts(body))

    def _facts(self, body: Mapping[str, Any]) -> Text:
        language, place, area = self._language, body["position"], body["area"]
        severity = Severity.from_word(body["severity"])
        lines: list[tuple[str, str]] = [
            (
                f"{self.t(f'respond.mark.{severity.word}')} {severity_word(severity, language)} "
                f"{rule_name(body['rule'], language)} {body['subject_label'][language]}",
                _STYLES[body["severity"]],
            ),
            (self.t("terminal.because", because=body["because"][language]), ""),
        ]
        named = [area["name"][language] if area else "", body.get("place", {}).get(language, "")]
        named.append(position_text(place["lon"], place["lat"]) if place else self.t("respond.no_position"))
        lines.append((self.t("terminal.where", where=" ".join(filter(None, named))), ""))
        lines.append(
            (self.t("terminal.opened", time=_clock(body["opened_at"]), observed=_clock(body["observed_at"])), "")
        )
        if body["cleared_at"] is not None:
            lines.append((self.t("terminal.cleared", time=_clock(body["cleared_at"])), "bold"))
        seen = body["acknowledged"]
        if seen is not None:
            words = self.t(
                "terminal.acknowledged", who=seen["by"], time=_clock(seen["at"]), comment=seen["comment"] or ""
            )
            lines.append((words, ""))
        elif (called := body.get("called")) is not None:
            who, time = called_words(body, language), _clock(called["since"])
            lines.append((self.t("terminal.called", who=who, time=time, n=called["step"]), "bold"))
        for each in body.get("responses", ()):
            words = self.t(
                "terminal.team",
                team=each["team"],
                state=self.t(f"response.state.{each['state']}"),
                time=_clock(each["answered_at"]),
                who=each["responder"],
                comment=each["comment"],
            )
            lines.append((words, "bold" if each["team"] == self._watch.team else ""))
        lines += self._own(body)
        grouped = body.get("grouped")
        if grouped is not None:
            counts = {name: grouped[name] for name in ("open", "cleared", "more")}
            lines.append((self.t("terminal.grouped", **counts), "dim"))
        for name, value in unknown_fields(body, kind=ALERT).items():
            if name != MEMBER_OF:
                lines.append((self.t("terminal.more", name=name, value=value), "dim"))
        return _joined(lines)

    def _own(self, body: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Answers of ours that wait, or that do not count and why."""
        lines: list[tuple[str, str]] = []
        for answer in self._watch.answers(body["alert_id"]):
            kind, comment = self.t(f"response.kind.{answer.body['kind']}"), answer.body["comment"]
            if answer.result is None:
                lines.append((self.t("terminal.answer.waiting", kind=kind, comment=comment), "bold black on orange1"))
            elif answer.result != "accepted":
                why = "" if answer.why is None else answer.why[self._language]
                lines.append((self.t("terminal.answer.not_counted", kind=kind, why=why, comment=comment), "orange1"))
        return lines

    def _history(self, body: Mapping[str, Any]) -> Text:
        """Every revision that came, the newest first."""
        lines = [(self.t("terminal.history"), "bold")]
        for each in reversed(self._watch.history(body["alert_id"])):
            stand = [(r["team"], self.t(f"response.state.{r['state']}")) for r in each.get("responses", ())]
            teams = " ".join(f"{team}={state}" for team, state in stand)
            because = f"{each['because'][self._language]} {teams}"
            words = self.t(
                "terminal.revision",
                revision=each["revision"],
                time=_clock(each["recorded_at"]),
                severity=severity_word(Severity.from_word(each["severity"]), self._language),
                because=because,
            )
            lines.append((words, ""))
        return _joined(lines)

    def _chosen_id(self) -> str | None:
        row = self.query_one(DataTable).cursor_row
        return self._ids[row] if 0 <= row < len(self._ids) else None

    def _chosen(self) -> Mapping[str, Any] | None:
        chosen = self._chosen_id()
        return next((body for body in self._look.alerts if body["alert_id"] == chosen), None)

    def _ring(self, look: Look) -> None:
        now_s = monotonic()
        fresh = self._watch.bells() > 0
        due = now_s - self._rung_at_s >= self._bell_every_s
        lost = (look.away or look.silent) and not look.standing_by
        unanswered = any(
            body["severity"] == "critical" and body["cleared_at"] is None and not self._answered(body)
            for body in look.alerts
        )
        if fresh or (due and (lost or unanswered)):
            self._rung_at_s = now_s
            self.bells += 1
            self.bell()

    def _answered(self, body: Mapping[str, Any]) -> bool:
        return state_of(body, self._watch.team) is not None or bool(self._watch.answers(body["alert_id"]))

    # ---- what is done -----------------------------------------------------------------------------------------

    def say(self, words: str) -> None:
        """A word to the person, for ten seconds."""
        self._told = monotonic(), words
        self._show_head(self._look)

    def action_answer(self, kind_word: str) -> None:
        """Ask for the words of an answer to the chosen alert, and write it down."""
        kind, body = ResponseKind(kind_word), self._chosen()
        if self._look.unable:
            self.say(self.t("terminal.unable_now"))
            return
        if body is None:
            self.say(self.t("terminal.choose"))
            return
        if not self._watch.responder:
            self.action_name()
            return
        needed = kind in NEEDS_COMMENT
        what = f"{body['subject_label'][self._language]} {rule_name(body['rule'], self._language)}"
        alert_id = body["alert_id"]

        def send(comment: str | None) -> None:
            if comment is None:
                return
            self._watch.answer(alert_id, kind, comment=comment)
            self.say(self.t("terminal.sent", kind=self.t(f"response.kind.{kind.value}")))
            self._refresh_all()

        self.push_screen(
            Ask(
                title=clean(f"{self.t(f'response.kind.{kind.value}')}: {what}"),
                label=self.t("terminal.ask.needed" if needed else "terminal.ask.comment"),
                value="",
                needed=needed,
                limit=COMMENT_LIMIT,
                language=self._language,
            ),
            send,
        )

    def action_name(self) -> None:
        """Ask who answers here; it is kept for the next start."""

        def keep(name: str | None) -> None:
            if name:
                self._watch.responder = name
                self._show_head(self._look)

        self.push_screen(
            Ask(
                title=self.t("terminal.title", team=self._watch.team),
                label=self.t("terminal.ask.name"),
                value=self._watch.responder,
                needed=True,
                limit=RESPONDER_LIMIT,
                language=self._language,
            ),
            keep,
        )

    def action_move(self, by: str | int) -> None:
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + int(by))

    def action_history(self) -> None:
        self._historical = not self._historical
        self._show_detail()

    def action_all(self) -> None:
        self._everything = not self._everything
        self._show_list(self._look)
        self._show_detail()

    def action_language(self) -> None:
        self._language = "en" if self._language == "ja" else "ja"
        chosen = self._chosen_id()
        self._name_keys()
        self._columns()
        self._show_list(self._look, chosen=chosen)
        self._show_detail()
        self._show_head(self._look)

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._show_detail()

    def _name_keys(self) -> None:
        """The keys' names in the reader's language, for the line at the bottom."""
        for key, bindings in self._bindings.key_to_bindings.items():
            self._bindings.key_to_bindings[key] = [
                Binding(each.key, each.action, self.t(f"terminal.key.{_name_of(each)}"), show=True)
                if each.show and _name_of(each)
                else each
                for each in bindings
            ]
        self.refresh_bindings()


def _name_of(binding: Binding) -> str:
    """What a key does, as its text is called; empty for one that is not ours."""
    name = binding.action.removeprefix("answer('").removesuffix("')")
    return name if name in {*ResponseKind, "history", "all", "name", "language", "quit"} else ""


def _clock(rfc3339: str) -> str:
    return jst(to_us(datetime.fromisoformat(rfc3339)))[5:19]


def _joined(lines: list[tuple[str, str]]) -> Text:
    return Text("\n").join(Text(clean(words), style=style) for words, style in lines)
