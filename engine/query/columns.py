"""Properties of stored rows as SQL, and the relations of rows that queries run over.

A property is read from the event's JSON by an RFC 6901 pointer, or from the numbers of a plain one
by its name (`engine.kept`), so any name is only data. Class
text is that of `engine.values.number_text`; DuckDB writes a double as Python's ``repr`` does.

A named truth that was voted on lies in `outcomes`: `rows_sql` puts what holds in place of what the
event itself said, so that it is read like any other property.
"""

from engine.kept import number_sql
from engine.panes import NUMBERS, quoted, text
from engine.positive import places
from engine.query.names import ModelNames
from engine.query.tree import Source
from engine.schema import CONTAINERS, KNOWN

__all__ = [
    "ANYWHERE",
    "IDENTIFIERS",
    "TIMES",
    "JsonColumns",
    "StoredColumns",
    "anywhere",
    "class_text",
    "pointer",
    "rows_sql",
]

ANYWHERE = "?."
"""Begins the resolved name of a bare one that may lie anywhere: row by row, see `anywhere`."""

TIMES = {
    "inference_timestamp": "event_time",
    "received_timestamp": "received_time",
    "ground_truth_timestamp": "label_time",
}
"""Regular names that are instants, and their columns."""

IDENTIFIERS = {
    "inference_id": "event_id",
    "partner_inference_id": "event_id",
    "model_id": "model_id",
    "batch_id": "batch_id",
    "job_id": "job_id",
    "bucket_id": "bucket_id",
}
"""Regular names that are texts, and their columns."""

_CLASSES = ("prediction", "label")


def pointer(name: str) -> str:
    """Give the JSON pointer (RFC 6901) of a qualified property.

    >>> pointer("features.a/b"), pointer("shop.id")
    ('/features/a~1b', '/shop.id')
    """
    container, dot, inner = name.partition(".")
    steps = (container, inner) if dot and container in CONTAINERS else (name,)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def anywhere(name: str) -> tuple[str, ...]:
    """Give where a bare name is looked for in a row, in order: the first value there counts.

    Features, predictions, labels (as the event itself says them), then the further fields.

    >>> anywhere("device")
    ('features.device', 'predictions.device', 'labels.device', 'device')
    """
    further = () if name in KNOWN else (name,)
    return (*(f"{container}.{name}" for container in CONTAINERS), *further)


def class_text(number: str) -> str:
    """Give SQL for the class text of a DOUBLE expression: ``1`` for 1.0, else the shortest."""
    return (
        f"CASE WHEN ({number}) = trunc({number}) AND abs({number}) < 9007199254740992"
        f" THEN ({number})::BIGINT::VARCHAR ELSE ({number})::VARCHAR END"
    )


def _json_number(raw: str, name: str) -> str:
    at = text(pointer(name))
    return (
        f"CASE WHEN json_type({raw}, {at}) IN {NUMBERS} THEN json_extract({raw}, {at})::DOUBLE END"
    )


def _json_text(raw: str, name: str) -> str:
    at = text(pointer(name))
    number = f"json_extract({raw}, {at})::DOUBLE"
    return (
        f"CASE WHEN json_type({raw}, {at}) IN {NUMBERS} THEN {class_text(number)}"
        f" WHEN json_type({raw}, {at}) IN ('VARCHAR', 'BOOLEAN') THEN {raw} ->> {at} END"
    )


class StoredColumns:
    """Reads the properties of rows with the columns `plan.ROW_COLUMNS`.

    A subclass may know some of them as columns of their own: `number` and `text` ask `truth_number`
    and `truth_text` for the truths `x` of ``labels.x``, and all ask `json` for what the event says.

    Parameters
    ----------
    names : ModelNames
        The model whose rows they are.
    """

    def __init__(self, names: ModelNames) -> None:
        self.names = names

    def number(self, name: str) -> str:
        """Give SQL, DOUBLE: the value if it is a number, else NULL."""
        if name in _CLASSES:
            return f"r.{name}_number"
        if name == "score":
            return "r.score"
        if name in TIMES or name in IDENTIFIERS:
            return "NULL::DOUBLE"
        if name.startswith(ANYWHERE):
            return self._first_number(name.removeprefix(ANYWHERE))
        return self._place(name)[0]

    def text(self, name: str) -> str:
        """Give SQL, VARCHAR: strings as they are, other scalars as class text; NULL if absent."""
        if name in _CLASSES:
            return f"r.{name}"
        if name == "score":
            return class_text("r.score")
        if name in TIMES:
            return f"strftime({self.time(name)}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        if name in IDENTIFIERS:
            return f"r.{IDENTIFIERS[name]}"
        if name.startswith(ANYWHERE):
            bare = name.removeprefix(ANYWHERE)
            return f"coalesce({', '.join(self._place(each)[1] for each in anywhere(bare))})"
        return self._place(name)[1]

    def time(self, name: str) -> str:
        """Give SQL, TIMESTAMP, of inference_timestamp and its like; NULL of anything else."""
        return f"r.{TIMES[name]}" if name in TIMES else "NULL::TIMESTAMP"

    def truth_number(self, name: str) -> str:
        """Give SQL, DOUBLE, of a named truth."""
        return self.json(f"labels.{name}")[0]

    def truth_text(self, name: str) -> str:
        """Give SQL, VARCHAR, of a named truth."""
        return self.json(f"labels.{name}")[1]

    def json(self, name: str) -> tuple[str, str]:
        """Give SQL for number and text of what the event says under a name."""
        kept = number_sql(name)
        number, said = _json_number("r.line", name), _json_text("r.line", name)
        return (
            f"CASE WHEN r.shape_id IS NULL THEN {number} ELSE {kept} END",
            f"CASE WHEN r.shape_id IS NULL THEN {said} ELSE {class_text(kept)} END",
        )

    def _first_number(self, bare: str) -> str:
        """Give the number at the first place that has a value: a text there hides a later one."""
        cases = "".join(
            f" WHEN ({said}) IS NOT NULL THEN {number}"
            for number, said in map(self._place, anywhere(bare))
        )
        return f"CASE{cases} END"

    def _place(self, name: str) -> tuple[str, str]:
        """Give SQL for number and text of one place; a further field may have any name."""
        if name.startswith("labels."):
            truth = name.removeprefix("labels.")
            return self.truth_number(truth), self.truth_text(truth)
        return self.json(name)


class JsonColumns(StoredColumns):
    """Reads the properties of events of any type, from their JSON `raw`."""

    def json(self, name: str) -> tuple[str, str]:
        """Give SQL for number and text of what the event's JSON has under a name."""
        return _json_number("r.raw", name), _json_text("r.raw", name)


def rows_sql(names: ModelNames, source: Source, truths: tuple[str, ...] = ("label",)) -> str:
    """Select the rows of a model: the columns `plan.ROW_COLUMNS`, `seq`, and `raw`, the JSON.

    Parameters
    ----------
    names : ModelNames
        Whose rows.
    source : str
        ``inference`` and ``enriched``: every prediction in force, with the label that holds;
        ``ground_truth``: those that are labelled; ``reference``: the reference set.
    truths : tuple of str
        The truths that the query names, ``label`` or `x` of ``labels.x``. `label_time` is when the
        last of them came, NULL while one is missing; without any that of the label.
    """
    if source == "reference":
        return _reference(names, truths or ("label",))
    rows = _stored(names, truths or ("label",))
    return f"SELECT * FROM ({rows}) WHERE label IS NOT NULL" if source == "ground_truth" else rows


def _stored(names: ModelNames, truths: tuple[str, ...]) -> str:
    joins, raw, voted, times = "", "e.raw", [], []
    named = [name for name in truths if name != "label"]
    for index, name in enumerate(("", *named)):
        o = f"o{index}"
        joins += (
            f" LEFT JOIN (SELECT * FROM outcomes ANTI JOIN outcomes_retired USING (seq)"
            f" WHERE property = {text(name)}) {o} ON {o}.event_seq = e.seq"
        )
        said = _said(f"labels.{name}") if name else "e.label"
        if name or "label" in truths:
            times.append(
                f"CASE WHEN {o}.event_seq IS NOT NULL"
                f" THEN CASE WHEN {o}.label IS NOT NULL THEN {o}.label_time END"
                f" WHEN ({said}) IS NOT NULL THEN e.event_time END"
            )
        if name:
            raw = _overlaid(raw, o, name)
            voted.append(f"{o}.event_seq IS NOT NULL")
    line, shape_id = "e.line", "e.shape_id"
    if voted:  # what was voted on is put into the JSON, which is read then
        line = f"CASE WHEN {' OR '.join(voted)} THEN {raw} ELSE e.line END"
        shape_id = f"CASE WHEN {' OR '.join(voted)} THEN NULL ELSE e.shape_id END"
    return (
        "SELECT e.seq, e.model_id, e.event_id, e.event_time, e.received_time,"
        f" {_latest(times)} AS label_time, e.prediction, e.prediction_number,"
        " CASE WHEN o0.event_seq IS NULL THEN e.label ELSE o0.label END AS label,"
        " CASE WHEN o0.event_seq IS NULL THEN e.label_number ELSE o0.label_number END"
        " AS label_number, e.score, e.positive_score, e.job_id, e.batch_id, e.bucket_id,"
        f" {line} AS line, {shape_id} AS shape_id, e.numbers, {raw} AS raw"
        " FROM (SELECT * FROM events_log ANTI JOIN events_retired USING (seq)"
        f" WHERE model_id = {text(names.model_id)}) e{joins}"
    )


def _said(name: str) -> str:
    """Give SQL, VARCHAR, of a property of a stored event ``e``."""
    return (
        f"CASE WHEN e.shape_id IS NULL THEN {_json_text('e.line', name)}"
        f" ELSE {class_text(number_sql(name, 'e'))} END"
    )


def _latest(times: list[str]) -> str:
    """Give SQL for the greatest of several instants; NULL while one of them is missing."""
    if len(times) == 1:
        return times[0]
    missing = " OR ".join(f"({time}) IS NULL" for time in times)
    return f"CASE WHEN {missing} THEN NULL ELSE greatest({', '.join(times)}) END"


def _overlaid(raw: str, outcome: str, name: str) -> str:
    """Put a truth that was decided by votes into the event; an undecided one is taken out."""
    value = (
        f"CASE WHEN {outcome}.label_number IS NOT NULL THEN to_json({outcome}.label_number)"
        f" ELSE to_json({outcome}.label) END"
    )
    patch = f"json_object('labels', json_object({text(name)}, {value}))"
    return (
        f"CASE WHEN {outcome}.event_seq IS NULL THEN {raw}"
        f" ELSE json_merge_patch({raw}, {patch})::VARCHAR END"
    )


def _reference(names: ModelNames, truths: tuple[str, ...]) -> str:
    """Select the reference set: of several events with one id the latest; without id every one."""
    positive = "NULL::DOUBLE"
    if names.positive_property is not None:
        found = ", ".join(_json_number("raw", place) for place in places(names.positive_property))
        positive = f"coalesce({found})"
    said = [_json_text("raw", "label" if t == "label" else f"labels.{t}") for t in truths]
    labelled = " AND ".join(f"({truth}) IS NOT NULL" for truth in said)
    values = ", ".join(
        f"{_json_text('raw', name)} AS {name}, {_json_number('raw', name)} AS {name}_number"
        for name in _CLASSES
    )
    ids = ", ".join(
        f"{_json_text('raw', name)} AS {quoted(name)}" for name in ("batch_id", "bucket_id")
    )
    return (
        "SELECT seq, model_id, event_id, event_time, received_time,"
        f" CASE WHEN {labelled} THEN event_time END AS label_time, {values},"
        f" {_json_number('raw', 'score')} AS score,"
        f" CASE WHEN {positive} BETWEEN 0 AND 1 THEN {positive} END AS positive_score,"
        f" job_id, {ids}, raw AS line, NULL::INTEGER AS shape_id, NULL::DOUBLE[] AS numbers, raw"
        " FROM (SELECT * FROM other_events WHERE type = 'reference'"
        f" AND model_id = {text(names.model_id)} QUALIFY event_id IS NULL OR row_number() OVER"
        " (PARTITION BY event_id ORDER BY event_time DESC NULLS LAST, raw DESC) = 1)"
    )
