# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Plots as SVG, readable on light and on dark pages, with nothing but the standard library."""

import math
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 80

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .line { fill: none; stroke-width: 2.5; }
  .s0 { stroke: #6e7781; } .f0 { fill: #6e7781; }
  .s1 { stroke: #0969da; } .f1 { fill: #0969da; }
  .s2 { stroke: #bc4c00; } .f2 { fill: #bc4c00; }
  .s3 { stroke: #1a7f37; } .f3 { fill: #1a7f37; }
  .s4 { stroke: #8250df; } .f4 { fill: #8250df; }
  .dashed { stroke-dasharray: 6 4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .grid { stroke: #30363d; }
    .s0 { stroke: #9198a1; } .f0 { fill: #9198a1; }
    .s1 { stroke: #58a6ff; } .f1 { fill: #58a6ff; }
    .s2 { stroke: #ffa657; } .f2 { fill: #ffa657; }
    .s3 { stroke: #56d364; } .f3 { fill: #56d364; }
    .s4 { stroke: #d2a8ff; } .f4 { fill: #d2a8ff; }
  }
"""


def short(value):
    """A number with two or three digits and a unit."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


class Scale:
    """Maps values to places, linearly from 0 or by the logarithm."""

    def __init__(self, values, logarithmic, places):
        self.logarithmic = logarithmic
        self.from_place, self.to_place = places
        if logarithmic:
            self.low = 10 ** math.floor(math.log10(min(values)))
            self.high = 10 ** math.ceil(math.log10(max(values) * 1.0001))
        else:
            self.low = 0
            step = 10 ** math.floor(math.log10(max(values)))
            self.high = step * math.ceil(max(values) * 1.05 / step * 2) / 2

    def __call__(self, value):
        if self.logarithmic:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.from_place + part * (self.to_place - self.from_place)

    def ticks(self):
        if not self.logarithmic:
            return [self.high * i / 5 for i in range(6)]
        count = round(math.log10(self.high / self.low))
        return [self.low * 10 ** i for i in range(count + 1)]


def _frame(title, y_label, x_label):
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
        f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">{escape(y_label)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 42}" '
        f'text-anchor="middle">{escape(x_label)}</text>',
    ]


def _grid(out, scale):
    for tick in scale.ticks():
        y = scale(tick)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                   f'y2="{y:.1f}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')


def _legend(out, names):
    x = LEFT
    for number, name in enumerate(names):
        out.append(f'<rect class="f{number % 5}" x="{x}" y="{HEIGHT - 24}" width="12" '
                   f'height="12"/>')
        out.append(f'<text x="{x + 17}" y="{HEIGHT - 13}">{escape(name)}</text>')
        x += 32 + 7.2 * len(name)


def lines(title, x_label, y_label, categories, series, logarithmic=True):
    """series: {name: {category: value}}; categories stand at equal distances."""
    values = [value for points in series.values() for value in points.values()]
    scale = Scale(values, logarithmic, (HEIGHT - BOTTOM, TOP))
    out = _frame(title, y_label, x_label)
    _grid(out, scale)
    step = (WIDTH - LEFT - RIGHT) / len(categories)
    places = {name: LEFT + step * (i + 0.5) for i, name in enumerate(categories)}
    for name, x in places.items():
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" '
                   f'text-anchor="middle">{escape(str(name))}</text>')
    for number, points in enumerate(series.values()):
        path = [(places[c], scale(points[c])) for c in categories if c in points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
        out.append(f'<polyline class="line s{number % 5}" points="{joined}"/>')
        out += [f'<circle class="f{number % 5}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
                for x, y in path]
    _legend(out, series)
    return "\n".join(out) + "\n</svg>\n"


def bars(title, y_label, categories, series, logarithmic=True):
    """series: {name: {category: value}}; one group of bars for each category."""
    values = [value for points in series.values() for value in points.values()]
    scale = Scale(values, logarithmic, (HEIGHT - BOTTOM, TOP))
    out = _frame(title, y_label, "")
    _grid(out, scale)
    group = (WIDTH - LEFT - RIGHT) / len(categories)
    width = min(46, group * 0.8 / len(series))
    for i, category in enumerate(categories):
        middle = LEFT + group * (i + 0.5)
        out.append(f'<text x="{middle:.1f}" y="{HEIGHT - BOTTOM + 18}" '
                   f'text-anchor="middle">{escape(str(category))}</text>')
        for number, points in enumerate(series.values()):
            if category not in points:
                continue
            x = middle + (number - len(series) / 2) * width
            y = scale(points[category])
            out.append(f'<rect class="f{number % 5}" x="{x:.1f}" y="{y:.1f}" '
                       f'width="{width - 3:.1f}" height="{HEIGHT - BOTTOM - y:.1f}"/>')
            out.append(f'<text x="{x + width / 2:.1f}" y="{y - 4:.1f}" '
                       f'text-anchor="middle">{short(points[category])}</text>')
    _legend(out, series)
    return "\n".join(out) + "\n</svg>\n"
