# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Tables and figures as the page shows them."""


def table(head, rows):
    """Markdown; the first column is left-aligned, all others right-aligned."""
    out = ["| " + " | ".join(head) + " |",
           "| --- |" + " ---: |" * (len(head) - 1)]
    out += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(out) + "\n"


def number(value, digits=3):
    """Thousands apart, and no more digits than mean something."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.{digits}g}"


def times(value):
    return "" if value is None else f"{value:.2f}"
