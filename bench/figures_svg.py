# SPDX-License-Identifier: MIT
"""Draws the figures of tools/bench: shares of what the machine allows as bars,
what they must be as marks, peers as thin bars below."""

from xml.sax.saxutils import escape

WIDTH = 900
BAR_LEFT = 270
BAR_WIDTH = 400  # of 100 %
ROW = 34
TOP = 74

REACHED, MISSED, PEERS = "#1a7f64", "#c2661b", ("#8a94a6", "#bcc3cf", "#d9dde4")
INK, FAINT, GRID = "#1f2328", "#59636e", "#e4e7eb"


def text(x, y, value, size=13, colour=INK, anchor="start", weight="normal"):
    return (f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}" font-weight="{weight}">'
            f"{escape(value)}</text>")


def bar(y, height, share, colour):
    width = BAR_WIDTH * min(share, 1.1)
    return (f'<rect x="{BAR_LEFT}" y="{y}" width="{width:.1f}" '
            f'height="{height}" rx="2" fill="{colour}"/>')


def best_of(figure):
    value = figure.best()
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def draw_row(figure, y, peers):
    """One figure with a share; `peers` gives each its colour."""
    out = [text(BAR_LEFT - 12, y + 14, figure.name, anchor="end")]
    thin = 4 if figure.multiples else 0
    colour = MISSED if figure.reached() is False else REACHED
    out.append(bar(y, 20 - thin * len(figure.multiples), figure.share, colour))
    for i, (name, ratio) in enumerate(figure.multiples.items()):
        top = y + 20 - thin * (len(figure.multiples) - i) + 1
        out.append(bar(top, thin - 1, figure.share / ratio, peers[name]))
    if figure.share_must is not None:
        x = BAR_LEFT + BAR_WIDTH * figure.share_must
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 4}" '
                   f'y2="{y + 24}" stroke="{INK}" stroke-width="2"/>')
    value = f"{100 * figure.share:.0f} % · {best_of(figure)} {figure.unit}"
    out.append(text(BAR_LEFT + BAR_WIDTH + 48, y + 14, value))
    return out


def draw_number(figure, y):
    """One figure without a share: what it is and what it must be."""
    sign = "≤" if figure.at_most else "≥"
    value = f"{best_of(figure)} {figure.unit}"
    if figure.must is not None:
        value += f"  (must {sign} {figure.must:g})"
    elif figure.share is not None:
        value += f"  ({100 * figure.share:.0f} % of {figure.of}"
        if figure.share_must is not None:
            value += f"; must {sign} {100 * figure.share_must:.0f} %"
        value += ")"
    colour = MISSED if figure.reached() is False else REACHED
    return [text(BAR_LEFT - 12, y + 14, figure.name, anchor="end"),
            text(BAR_LEFT, y + 14, value, colour=colour, weight="bold")]


def legend(peers, y):
    out, x = [], BAR_LEFT
    entries = [("tinyphi", REACHED), ("below its must", MISSED), *peers.items()]
    for name, colour in entries:
        out.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" '
                   f'fill="{colour}"/>')
        out.append(text(x + 18, y, name, 12, FAINT))
        x += 34 + 7 * len(name)
    out.append(f'<line x1="{x + 6}" x2="{x + 6}" y1="{y - 12}" y2="{y + 4}" '
               f'stroke="{INK}" stroke-width="2"/>')
    out.append(text(x + 16, y, "must", 12, FAINT))
    return out


def draw(title, figures):
    """An SVG document."""
    shown = [f for f in figures if not f.skipped]
    bars = [f for f in shown
            if f.share is not None and not f.at_most and f.drawn]
    numbers = [f for f in shown if f not in bars]
    names = dict.fromkeys(name for f in bars for name in f.multiples)
    peers = {name: PEERS[i % len(PEERS)] for i, name in enumerate(names)}
    bottom = TOP + ROW * len(bars)
    height = bottom + 24 + ROW * len(numbers)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
           f'height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="system-ui, -apple-system, Segoe UI, Helvetica, '
           'sans-serif">',
           f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
           text(24, 28, "Share of what the machine allows", 16, weight="bold"),
           text(WIDTH - 24, 28, title, 12, FAINT, "end"),
           *legend(peers, 52)]
    for tenth in range(0, 11, 2):
        x = BAR_LEFT + BAR_WIDTH * tenth / 10
        out.append(f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{bottom - 6}" '
                   f'stroke="{GRID}"/>')
        out.append(text(x, bottom + 8, f"{10 * tenth} %", 11, FAINT, "middle"))
    for i, figure in enumerate(bars):
        out += draw_row(figure, TOP + ROW * i, peers)
    for i, figure in enumerate(numbers):
        out += draw_number(figure, bottom + 20 + ROW * i)
    return "\n".join([*out, "</svg>", ""])
