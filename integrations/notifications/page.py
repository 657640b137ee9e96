"""The HTML of a note: one column, styles in place, no pictures, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from integrations.notifications.note import Note, Section

CALM, URGENT = "#1f5f8b", "#b3261e"
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif"
_LABEL = "padding:4px 16px 4px 0;color:#5a6472;vertical-align:top;white-space:nowrap"
_VALUE = "padding:4px 0;color:#1b1f24;word-break:break-word"


def html(note: Note) -> str:
    """Write the page. All text is escaped."""
    colour = URGENT if note.urgent else CALM
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(note.subject)}</title></head>",
            f'<body style="margin:0;padding:24px 12px;background:#f2f4f6;{_FONT}">',
            (
                '<div style="max-width:640px;margin:0 auto;background:#fff;border-radius:8px;'
                f'overflow:hidden;border-top:6px solid {colour}">'
            ),
            '<div style="padding:24px 28px">',
            f'<h1 style="margin:0 0 8px;font-size:22px;color:#1b1f24">{escape(note.headline)}</h1>',
            (
                f'<p style="margin:0 0 20px;font-size:16px;line-height:1.45;color:{colour}">'
                f"<strong>{escape(note.lead)}</strong></p>"
            ),
            *_table(note),
            *(line for section in note.sections for line in _section(section, colour)),
            *_button(note, colour),
            "</div></div></body></html>",
        ]
    )


def _table(note: Note) -> Iterator[str]:
    yield '<table role="presentation" style="border-collapse:collapse;font-size:14px">'
    for label, value in note.facts:
        yield f'<tr><td style="{_LABEL}">{escape(label)}</td><td style="{_VALUE}">{escape(value)}</td></tr>'
    yield "</table>"


def _section(section: Section, colour: str) -> Iterator[str]:
    kind = "ol" if section.numbered else "ul"
    yield f'<h2 style="margin:24px 0 6px;font-size:16px;color:{colour}">{escape(section.title)}</h2>'
    yield f'<{kind} style="margin:0;padding-left:22px;font-size:15px;line-height:1.5;color:#1b1f24">'
    for line in section.lines:
        yield f"<li>{escape(line)}</li>"
    yield f"</{kind}>"


def _button(note: Note, colour: str) -> Iterator[str]:
    if note.link:
        yield (
            f'<p style="margin:28px 0 4px"><a href="{escape(note.link)}" style="background:{colour};'
            "color:#fff;text-decoration:none;padding:12px 20px;border-radius:6px;font-size:15px;"
            'display:inline-block">The order as data (needs your token)</a></p>'
        )
