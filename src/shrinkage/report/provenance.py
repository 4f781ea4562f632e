"""What was run: enough to judge the study and to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shrinkage.figures.labels import format_strength, is_number
from shrinkage.report.html_table import render_table
from shrinkage.report.page_text import escape, format_number
from shrinkage.study.data.column_reading import KINDS, Reading
from shrinkage.study.formatting import MISSING, count_rows, pluralize
from shrinkage.study.records import TASKS, Record, name_split
from shrinkage.study.results import Results

MOST_NAMES = 12  # of classes, features, strengths; then the number of the others
MOST_DIVERGED = 200  # trials in the list
MOST_COLUMNS = 300  # in the table; those to which something was done come first


def describe_data(results: Results) -> str:
    """The data in one line: task, rows, features."""
    facts = ["regression"]
    if results.task == "classes":
        classes = len(results.data.get("classes", []))
        facts = [f"classification into {classes} classes" if classes else "classification"]
    if "rows" in results.data:
        facts.append(count_rows(results.data["rows"], results.data.get("all_rows")))
    if "features" in results.data:
        facts.append(pluralize(results.data["features"], "feature"))
    return " · ".join(facts)


def _name_task(facts: Mapping[str, Any]) -> Mapping[str, object]:
    """The same facts with the task as people say it."""
    return {**facts, "task": TASKS.get(facts["task"], facts["task"])} if "task" in facts else facts


def render_provenance(results: Results) -> str:
    """The last section: the command, the question, the data, the versions, what diverged."""
    command = results.provenance.get("command", "")
    versions = {key: value for key, value in results.provenance.items() if key != "command"}
    parts = [
        "<h2>What was run</h2>",
        f'<pre class="command">{escape(command)}</pre>' if command else "",
        '<div class="columns">',
        render_facts("The question", _name_task(results.question)),
        render_facts("The data", _name_task(_collect_data_facts(results))),
        render_facts("The trials", _collect_trial_facts(results.records, results.folds)),
        render_facts("Made with", versions),
        "</div>",
        _render_readings(results.readings),
        _render_diverged(results.records, results.folds),
    ]
    lines = "\n".join(part for part in parts if part)
    return f'<section class="run">\n{lines}\n</section>'


def _collect_data_facts(results: Results) -> dict[str, object]:
    data = results.data
    facts: dict[str, object] = {key: data.get(key) for key in ("name", "task", "rows")}
    if data.get("all_rows"):
        facts["rows"] = count_rows(data.get("rows", 0), data["all_rows"])
    for part, rows in (
        ("train", data.get("train")),
        ("validation", data.get("validation")),
        ("test", data.get("test")),
    ):
        if rows is not None:
            facts[part] = pluralize(rows, "row")
    facts["features"] = data.get("features")
    if data.get("columns"):
        facts["columns"] = data["columns"]
    if results.task == "classes":
        facts["classes"] = data.get("classes", [])
    if data.get("notes"):
        facts["notes"] = data["notes"]
    return facts


def _collect_trial_facts(records: Sequence[Record], folds: int | None) -> dict[str, object]:
    seconds = sum(record.seconds for record in records if is_number(record.seconds))
    solved = sum(record.engine == "solved" for record in records)
    facts = {
        "solved": f"{solved:,}, each to the minimum of data loss plus penalty: the same for every "
        "way that has this objective, whatever the optimizer, the learning rate and the epochs"
    }
    return {
        "recorded": f"{len(records):,}",
        **(facts if solved else {}),
        "diverged": f"{sum(record.status != 'ok' for record in records):,}",
        "splits" if folds else "seeds": sorted({record.trial.seed for record in records}),
        "seconds of training": format_number(seconds, 1),
    }


def render_facts(title: str, facts: Mapping[str, object]) -> str:
    """A list of names and values of any kind."""
    if not facts:
        return ""
    rows = "\n".join(
        f"<dt>{escape(str(key).replace('_', ' '))}</dt><dd>{_render_value(value)}</dd>"
        for key, value in facts.items()
    )
    return f"<div>\n<h3>{escape(title)}</h3>\n<dl>\n{rows}\n</dl>\n</div>"


def _render_value(value: object) -> str:
    """A value as HTML, each entry of a list kept on one line where it fits."""
    if not isinstance(value, (list, tuple)):
        return escape(_format_value(value))
    entries = map(_format_value, value[:MOST_NAMES])
    items = [f'<span class="item">{escape(entry)}</span>' for entry in entries]
    more = len(value) - MOST_NAMES
    return (", ".join(items) or MISSING) + (f" and {more:,} more" if more > 0 else "")


def _format_value(value: object) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_format_value(each)}" for key, each in value.items()) or MISSING
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_format_value, value))
    if isinstance(value, float):
        return format_strength(value) if is_number(value) else MISSING
    return str(value)


def _render_readings(readings: Sequence[Reading]) -> str:
    """A row for each column of the data: its kind, what is missing, and what was done to it."""
    if not readings:
        return ""
    rows = []
    for reading in sorted(readings, key=lambda reading: not reading.done)[:MOST_COLUMNS]:
        cells = (
            reading.role,
            KINDS.get(reading.kind, reading.kind),
            f"{reading.missing:,}" if reading.missing else MISSING,
            f"{reading.levels:,}" if reading.levels else MISSING,
        )
        cells_html = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(
            f"<tr><td><code>{escape(reading.name)}</code></td>{cells_html}"
            f'<td class="reason">{escape(reading.done or "as written")}</td></tr>'
        )
    title = "How the columns were read"
    names = ("Column", "Role", "Kind", "Missing", "Levels", "What was done")
    more = len(readings) - MOST_COLUMNS
    others = f"\n<p>{pluralize(more, 'more column')}, read as written.</p>" if more > 0 else ""
    return f"<h3>{title}</h3>\n{render_table(title, names, rows, kind='readings')}{others}"


def _render_diverged(records: Sequence[Record], folds: int | None) -> str:
    diverged = [record for record in records if record.status != "ok"]
    if not diverged:
        return ""
    diverged.sort(key=lambda record: (record.trial.method, record.trial.strength))
    rows = [
        f"<tr><td><code>{escape(record.trial.method)}</code></td>"
        f"<td>{format_strength(record.trial.strength)}</td>"
        f"<td>{name_split(record.trial.seed, folds).removeprefix('seed ')}</td>"
        f'<td class="reason">{escape(record.reason)}</td></tr>'
        for record in diverged[:MOST_DIVERGED]
    ]
    title = "Trials that diverged"
    names = ("Method", "Strength", "Seed", "Reason")
    more = len(diverged) - MOST_DIVERGED
    others = f"\n<p>The records hold {more:,} more.</p>" if more > 0 else ""
    return f"<h3>{title}</h3>\n{render_table(title, names, rows, kind='diverged')}{others}"
