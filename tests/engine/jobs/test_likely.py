"""What a line's bytes tell: no line that matches may be told to be passed over.

The patterns of numbers are checked against all spellings of numbers near the operand, and the
predicates with and without them against each other on lines with odd names and values.
"""

import random
import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.filters import compile_filters
from engine.jobs.likely import at_least, at_most
from engine.jobs.questions import Filter
from engine.rows import make_tables

SPELLINGS = ["{0}", "{0}.0", "{0}.5", "{0}.99999999999999999999", "{0}e0", "{0}0e-1", "{0}E+0"]
SPELLINGS += ["{0}1", '"{0}"', "[{0}]", '["x", {0}]', "null", "true", '"true"', '"x{0}"', "{{}}"]
KEYS = ["n", "a.n", "ä n", "n)|(", "x", "a"]
SELECT = (
    "SELECT line FROM (SELECT line, NULL::INTEGER AS shape_id, NULL::DOUBLE[] AS numbers FROM t) r"
    " WHERE"
)
FIELDS = ["n", "a.n", "ä n", "n)|(", "features.n", "a"]


@given(st.integers(1, 10**15), st.integers(0, 10**16))
def test_oracle_patterns_of_whole_numbers(bound, number):
    if number > 0:
        assert bool(re.match(rf"(?:{at_least(bound)})", str(number))) or number < bound
    assert bool(re.fullmatch(at_most(bound), str(number))) == (number <= bound)


def lines(chance, around):
    for _ in range(60):
        number = chance.choice(around) + chance.choice([-2, -1, -1, 0, 0, 0, 1, 1, 2, 10, -100])
        value = chance.choice(SPELLINGS).format(number)
        value = value if number else str(number)  # no leading zeros
        key, space = chance.choice(KEYS), chance.choice(["", " ", "\t"])
        said = f'"{key}"{space}:{space}{value}'
        yield chance.choice(
            [
                "{{{0}}}",
                '{{"features": {{{0}}}}}',
                '{{"a": {{{0}}}, "n":"no"}}',
                '{{"x": "\\\\", {0}}}',
            ]
        ).format(said)


OPERATORS = ["is", "is one of", "lt", "lte", "gt", "gte", "contains", "starts with", "exists"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_oracle_whatever_matches_is_likely(operator):
    chance = random.Random(operator)
    operands = [
        1,
        0,
        -1,
        7,
        100,
        899.5,
        900,
        -40,
        0.5,
        "900",
        "-40",
        "x",
        "true",
        True,
        1e15,
        2**53,
    ]
    around = [int(float(each)) for each in operands if each not in ("x", "true")]
    cursor = duckdb.connect()
    make_tables(cursor)
    cursor.execute("CREATE TABLE t (line VARCHAR)")
    cursor.executemany("INSERT INTO t VALUES (?)", [[line] for line in set(lines(chance, around))])
    told = 0
    for field in FIELDS:
        for operand in operands:
            if operator in ("lt", "lte", "gt", "gte") and operand is True:
                continue
            values = () if operator == "exists" else (operand,)
            found, wanted = both(cursor, Filter(field, operator, values))
            assert found == wanted, (field, operand)
            told += len(wanted)
    assert told > 5


def both(cursor, each):
    """Give what passes the predicate, and what does so where every line counts as likely."""
    (predicate,) = compile_filters((each,))
    every = {k: "" if v == "\\" else v for k, v in predicate.parameters.items()}
    return [
        {row for (row,) in cursor.execute(f"{SELECT} {predicate.sql}", values).fetchall()}
        for values in (dict(predicate.parameters), every)
    ]


def test_golden_lines_are_passed_over():
    """So the law above compares something: without them all of the lines would be read."""
    cursor = duckdb.connect()
    make_tables(cursor)
    cursor.execute("CREATE TABLE t AS SELECT 'no JSON' AS line")
    for operator, value in (("is", "x"), ("is", 1), ("gt", 900), ("lt", -1), ("contains", "x")):
        (predicate,) = compile_filters((Filter("n", operator, (value,)),))
        sql, values = f"{SELECT} {predicate.sql}", dict(predicate.parameters)
        assert cursor.execute(sql, values).fetchall() == []
