# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Plots as SVG, on a light ground that is readable on dark pages, too."""

import io

import matplotlib

matplotlib.use("svg")
# Same data, same file: names of parts do not vary, and text stays text.
matplotlib.rcParams.update({"svg.hashsalt": "rsm", "svg.fonttype": "none",
                            "font.family": "sans-serif", "font.size": 9})

from matplotlib import pyplot  # noqa: E402 (the settings come first)
from matplotlib.ticker import EngFormatter  # noqa: E402

COLOURS = ["#6e7781", "#0969da", "#bc4c00", "#1a7f37", "#8250df"]


def _axes(title, x_label, y_label, categories, logarithmic):
    figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_xticks(range(len(categories)), [str(category) for category in categories])
    axes.set_prop_cycle(color=COLOURS)
    if logarithmic:
        axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", color="#d0d7de")
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure, axes, series):
    if not axes.get_yscale() == "log":
        axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=min(4, len(series)),
                frameon=False)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return out.getvalue()


def lines(title, x_label, y_label, categories, series, logarithmic=True):
    """series: {name: {category: value}}; categories stand at equal distances."""
    figure, axes = _axes(title, x_label, y_label, categories, logarithmic)
    for name, points in series.items():
        places = [i for i, category in enumerate(categories) if category in points]
        axes.plot(places, [points[categories[i]] for i in places], marker="o", label=name)
    return _svg(figure, axes, series)


def bars(title, y_label, categories, series, logarithmic=True):
    """series: {name: {category: value}}; one group of bars for each category."""
    figure, axes = _axes(title, "", y_label, categories, logarithmic)
    width = min(0.3, 0.8 / len(series))
    short = EngFormatter(sep="", places=1)
    for number, (name, points) in enumerate(series.items()):
        places = [i for i, category in enumerate(categories) if category in points]
        values = [points[categories[i]] for i in places]
        drawn = axes.bar([i + (number - (len(series) - 1) / 2) * width for i in places], values,
                         width * 0.9, label=name)
        axes.bar_label(drawn, [short.format_eng(value) for value in values])
    return _svg(figure, axes, series)
