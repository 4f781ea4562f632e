"""What was run: enough to judge the study, and to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shrinkage.report.columns import columns_table
from shrinkage.report.regions import class_names, feature_names, is_classes
from shrinkage.report.summary import diverged
from shrinkage.report.text import escaped, is_number, number, strength
from shrinkage.study.records import Record, Results
from shrinkage.study.wording import MISSING, count

MOST_NAMES = 12  # of classes, features, strengths: then how many more there are
MOST_DIVERGED = 200  # trials in the list
PARTS = ("train", "validation", "test")


def data_facts(results: Results) -> str:
    """The data in one line: task, rows, features."""
    names = class_names(results)
    facts = [_classes(len(names))] if is_classes(results) else ["a number to predict"]
    rows = results.data.get("rows")
    if isinstance(rows, int):
        facts.append(count(rows, "row"))
    features = results.data.get("features")
    if isinstance(features, int):
        facts.append(count(features, "feature"))
    return " · ".join(facts)


def what_was_run(results: Results) -> str:
    """The last section: the command, the question, the data, the versions, what diverged."""
    command = results.provenance.get("command", "")
    versions = {key: value for key, value in results.provenance.items() if key != "command"}
    parts = [
        "<h2>What was run</h2>",
        f'<pre class="command">{escaped(command)}</pre>' if command else "",
        '<div class="columns">',
        _facts("The question", results.question),
        _facts("The data", _data(results)),
        _facts("The trials", _trials(results.records)),
        _facts("Made with", versions),
        "</div>",
        columns_table(results),
        _diverged_list(results.records),
    ]
    return f'<section class="run">\n{_lines(parts)}\n</section>'


def _lines(parts: Sequence[str]) -> str:
    return "\n".join(part for part in parts if part)


def _classes(amount: int) -> str:
    return f"{amount or ''} classes".strip() if amount != 1 else "1 class"


def _facts(title: str, facts: Mapping[str, object]) -> str:
    """Names and values, whatever they are."""
    if not facts:
        return ""
    rows = "\n".join(
        f"<dt>{escaped(str(key).replace('_', ' '))}</dt><dd>{_shown(value)}</dd>"
        for key, value in facts.items()
    )
    return f"<div>\n<h3>{escaped(title)}</h3>\n<dl>\n{rows}\n</dl>\n</div>"


def _shown(value: object) -> str:
    """A value as HTML, each entry of a list kept on one line where it fits."""
    if not isinstance(value, (list, tuple)):
        return escaped(_value(value))
    items = [f'<span class="item">{escaped(_value(entry))}</span>' for entry in value[:MOST_NAMES]]
    more = len(value) - MOST_NAMES
    return (", ".join(items) or MISSING) + (f" and {more:,} more" if more > 0 else "")


def _value(value: object) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(entry)}" for key, entry in value.items()) or MISSING
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(entry) for entry in value)
    if isinstance(value, float):
        return strength(value) if is_number(value) else MISSING
    return str(value)


def _data(results: Results) -> dict[str, object]:
    data = results.data
    facts: dict[str, object] = {"name": data.get("name"), "task": data.get("task")}
    facts["rows"] = data.get("rows")
    facts |= {part: f"{data[part]} rows" for part in PARTS if part in data}
    facts["features"] = data.get("features")
    if feature_names(results):
        facts["columns"] = feature_names(results)
    if is_classes(results):
        facts["classes"] = class_names(results)
    if data.get("notes"):
        facts["notes"] = data["notes"]
    return facts


def _trials(records: Sequence[Record]) -> dict[str, object]:
    seeds = sorted({record.trial.seed for record in records})
    seconds = sum(record.seconds for record in records if is_number(record.seconds))
    return {
        "recorded": f"{len(records):,}",
        "diverged": f"{len(diverged(records)):,}",
        "seeds": seeds,
        "seconds of training": number(seconds, 1),
    }


def _diverged_list(records: Sequence[Record]) -> str:
    lost = diverged(records)
    if not lost:
        return ""
    ordered = sorted(lost, key=lambda record: (record.trial.method, record.trial.strength))
    rows = "\n".join(_diverged_row(record) for record in ordered[:MOST_DIVERGED])
    more = len(lost) - MOST_DIVERGED
    rest = f"<p>{more:,} more are in the records.</p>\n" if more > 0 else ""
    return (
        '<h3>Trials that diverged</h3>\n<div class="scroll" tabindex="0" role="region" '
        'aria-label="Trials that diverged">\n<table class="diverged">\n<thead><tr>'
        '<th scope="col">Method</th><th scope="col">Strength</th><th scope="col">Seed</th>'
        f'<th scope="col">Reason</th></tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n'
        f"{rest}"
    )


def _diverged_row(record: Record) -> str:
    trial = record.trial
    return (
        f"<tr><td><code>{escaped(trial.method)}</code></td><td>{strength(trial.strength)}</td>"
        f'<td>{trial.seed}</td><td class="reason">{escaped(record.reason)}</td></tr>'
    )
