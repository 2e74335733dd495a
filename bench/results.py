# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""The raw lines of the measuring programs, brought together: medians of what was measured with
the same settings."""

import json
import os
import statistics

# What tells measurements apart; all other fields are results.
SETTINGS = ("program", "of", "role", "part", "operation", "durable", "inside", "pinned", "tls", "window",
            "payload", "batch", "clients", "pipeline", "source", "compiler", "level")


class Results:
    """Medians by settings. A section that was not measured has none."""

    def __init__(self, raw):
        self._groups = {}
        for name in sorted(os.listdir(raw)):
            if not name.endswith(".jsonl"):
                continue
            with open(os.path.join(raw, name), encoding="utf-8") as file:
                for text in file:
                    line = json.loads(text)
                    key = tuple((s, line[s]) for s in SETTINGS if s in line)
                    self._groups.setdefault(key, []).append(line)

    def select(self, **wanted):
        """The medians of every group that has all the wanted settings."""
        found = []
        for key, lines in self._groups.items():
            settings = dict(key)
            if any(settings.get(name) != value for name, value in wanted.items()):
                continue
            merged = dict(settings)
            for field in lines[0]:
                if field in settings:
                    continue
                values = [line[field] for line in lines if field in line]
                merged[field] = (all(values) if isinstance(values[0], bool)
                                 else statistics.median(values))
            rates = [line["ops_per_s"] for line in lines if "ops_per_s" in line]
            if rates:
                merged["spread"] = (max(rates) - min(rates)) / statistics.median(rates)
            merged["runs"] = len(lines)
            found.append(merged)
        return found

    def one(self, **wanted):
        """The only group of these settings, or nothing."""
        found = self.select(**wanted)
        return found[0] if len(found) == 1 else None

    def value(self, field, **wanted):
        found = self.one(**wanted)
        return None if found is None else found.get(field)


def ratio(above, below):
    return None if above is None or not below else above / below
