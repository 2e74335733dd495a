# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""For how long nothing was written, and who was elected, by what was wrong at the time: a table and
a plot."""

import html
import statistics
from dataclasses import dataclass, field

SECOND = 1_000_000_000
AFTERWARDS = SECOND  # a gap may begin when a fault has just ended: what is repaired moves, too


@dataclass(eq=False)
class Episode:
    """A fault, from its first act until all was well. Times are monotonic, in nanoseconds."""

    name: str
    nodes: list
    begin: int
    end: int = 0  # 0: under way

    def touches(self, begin, end, afterwards=0):
        return self.begin <= end and (self.end == 0 or begin <= self.end + afterwards)


@dataclass
class Story:
    """What has happened in a run."""

    begin: int
    goal_ms: int
    episodes: list = field(default_factory=list)
    silences: list = field(default_factory=list)
    terms: list = field(default_factory=list)  # (when it was seen, term)
    end: int = 0

    def blamed(self, silence):
        """The faults under way at the time; where there is none, those that had just ended."""
        def those(afterwards):
            return [one for one in self.episodes if one.touches(*silence, afterwards)]
        return those(0) or those(AFTERWARDS)


def longest(silences, begin, end):
    """Milliseconds, of those that touch this time."""
    return max(((b - a) / 1e6 for a, b in silences if a <= end and b >= begin), default=0.0)


def _elections(terms, begin, end):
    before = max((term for when, term in terms if when <= begin), default=None)
    within = max((term for when, term in terms if when <= end), default=None)
    return within - before if before is not None and within is not None else 0


def _ms(value):
    return "under 50" if value < 50 else f"{value:,.0f}"


def rows(story, faults):
    """(name, times, median, longest, longest alone, elections, remark), the longest gap first."""
    gaps = {episode: [0.0] for episode in story.episodes}
    alone = {episode: [0.0] for episode in story.episodes}
    for silence in story.silences:
        blamed = story.blamed(silence)
        for episode in blamed:
            gaps[episode].append((silence[1] - silence[0]) / 1e6)
            if len(blamed) == 1:
                alone[episode].append(gaps[episode][-1])
    found = []
    for name in sorted({episode.name for episode in story.episodes}):
        episodes = [episode for episode in story.episodes if episode.name == name]
        most = [max(gaps[episode]) for episode in episodes]
        elections = sum(_elections(story.terms, episode.begin, episode.end or story.end)
                        for episode in episodes)
        found.append((name, len(most), statistics.median(most), max(most),
                      max(max(alone[episode]) for episode in episodes), elections,
                      "" if faults[name].majority else "no majority for a while"))
    return sorted(found, key=lambda row: -row[3])


def table(story, faults):
    lines = [f"{'fault':28}{'times':>6}{'median ms':>11}{'longest ms':>12}{'alone':>10}"
             f"{'elections':>11}"]
    for name, times, median, most, alone, elections, remark in rows(story, faults):
        lines.append(f"{name:28}{times:>6}{_ms(median):>11}{_ms(most):>12}"
                     f"{_ms(alone):>10}{elections:>11}  {remark}".rstrip())
    worst = sorted(story.silences, key=lambda silence: silence[0] - silence[1])[:5]
    lines.append(f"The longest gaps (the goal is {story.goal_ms:,} ms):")
    for begin, end in worst:
        names = [episode.name for episode in story.blamed((begin, end))]
        lines.append(f"  {(end - begin) / 1e6:>9,.0f} ms at {(begin - story.begin) / SECOND:,.1f} s"
                     f" ({', '.join(names) or 'nothing was wrong'})")
    return "\n".join(lines)


# ---- the plot ----

WIDTH, LEFT, RIGHT, GAPS_HEIGHT, ROW = 1200, 190, 20, 180, 16
INK, GREY, RED, BLUE, ORANGE = "#1f2328", "#d0d7de", "#cf222e", "#0969da", "#bc4c00"


def _line(x1, y1, x2, y2, colour, width=1.0, dashes=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
            f' stroke-width="{width}"' + (f' stroke-dasharray="{dashes}"' if dashes else "") + "/>")


def _text(x, y, text, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def plot(story):
    """An SVG: gaps as spikes over time, elections as ticks below, and a row for each fault."""
    names = sorted({episode.name for episode in story.episodes})
    span = max(story.end - story.begin, 1)
    top, bottom = 30, 30 + GAPS_HEIGHT
    height = bottom + 40 + ROW * len(names) + 20
    highest = max([story.goal_ms * 1.5] + [(end - begin) / 1e6 for begin, end in story.silences])

    def x(when):
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(when - story.begin, 0), span) / span

    def y(ms):
        return bottom - GAPS_HEIGHT * ms / highest

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
             f' font-family="sans-serif" font-size="11" fill="{INK}">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             _text(LEFT, 18, "Time without an acknowledged write (ms), elections, and faults")]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line(LEFT, y(highest * share), WIDTH - RIGHT, y(highest * share), GREY))
        parts.append(_text(LEFT - 6, y(highest * share) + 4, f"{highest * share:,.0f}", "end"))
        when = story.begin + span * share
        parts.append(_text(x(when), height - 6, f"{span * share / SECOND / 60:.1f} min", "middle"))
    parts.append(_line(LEFT, y(story.goal_ms), WIDTH - RIGHT, y(story.goal_ms), RED, 1, "4 3"))
    for begin, end in story.silences:
        parts.append(_line(x(end), bottom, x(end), y((end - begin) / 1e6), BLUE, 1.5))
    parts.append(_text(LEFT - 6, bottom + 16, "elections", "end"))
    for (_, before), (when, term) in zip(story.terms, story.terms[1:]):
        if term > before:
            parts.append(_line(x(when), bottom + 8, x(when), bottom + 18, RED, 1))
    for number, name in enumerate(names):
        base = bottom + 40 + ROW * number
        parts.append(_text(LEFT - 6, base + 4, name, "end"))
        parts.append(_line(LEFT, base, WIDTH - RIGHT, base, GREY, 0.5))
        for episode in (one for one in story.episodes if one.name == name):
            until = max(x(episode.end or story.end), x(episode.begin) + 1)
            parts.append(_line(x(episode.begin), base, until, base, ORANGE, 8))
    return "\n".join(parts + ["</svg>", ""])
