"""The query language, against the examples and refusals of the published grammar.

Patterns are checked as DuckDB's LIKE understands them, since that is what runs them.
"""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import QueryError
from engine.steps.search_text import ESCAPE, Term, search_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("search_*", [(None, "%search/_%%")]),
        (r"search_\*", [(None, "%search/_*%")]),
        (r'"search \"this\", and \'that\'"', [(None, "%search \"this\", and 'that'%")]),
        (
            '"search=this", \'and, how about "this\\?"\',this_too',
            [(None, "%search=this%"), (None, '%and, how about "this?"%'), (None, "%this/_too%")],
        ),
        ("tag:classification", [("tag", "classification")]),
        ("tag : class*", [("tag", "class%")]),
        ("description:*mnist*,tag:cv", [("description", "%mnist%"), ("tag", "cv")]),
        ("name:trial_??", [("name", "trial/___")]),
        (r"\*", [(None, "%*%")]),
        ("search all for this", [(None, "%search%all%for%this%")]),
        ('field:"search all for this"', [("field", "search all for this")]),
        (r'id:"a\\b\n/%"', [("id", "a\\b\n///%")]),
        ("name:'*'", [("name", "%")]),
        ("été", [(None, "%été%")]),
        ("", []),
        (" \t", []),
    ],
)
def test_golden_terms(text, terms):
    assert search_terms(text) == tuple(Term(*term) for term in terms)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "field:search all for this",
            (
                "a comma between terms, and values with other characters"
                ' quoted, got "a" at character 14'
            ),
        ),
        ("bad=assignment", 'got "=" at character 4'),
        ("bad-name:classification", 'got "-" at character 4'),
        ("description:bad_delim|tag:cv", 'got "|" at character 22'),
        ('"forgot to close this quote', 'closed by " where it is opened at 1, got its end'),
        (r"\q", "one of \\\\ \\* \\? \\\" \\' \\n where a backslash stands"),
        ('"x\\"', "closed by"),
        ("a,", "a word, or a text in quotes, got its end at character 3"),
        (",a", 'a word, or a text in quotes, got "," at character 1'),
        ("name:", "got its end at character 6"),
        ('name:""', "a text within the quotes"),
        ('"a\tb"', "a text of printable characters"),
        ("a:b:c", 'got ":" at character 4'),
        ("'a'b", 'got "b" at character 4'),
    ],
)
def test_error_texts_that_are_no_query(text, told):
    with pytest.raises(QueryError) as found:
        search_terms(text)
    assert str(found.value).startswith("`search` must be ")
    assert told in str(found.value)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("aB%_/*?\\'\"\n é1"), min_size=1, max_size=8))
def test_law_a_quoted_and_escaped_text_finds_itself_and_nothing_else(text):
    escaped = "".join("\\n" if c == "\n" else "\\" + c if c in "\\*?\"'" else c for c in text)
    (term,) = search_terms(f'name:"{escaped}"')
    ask = f"SELECT $text ILIKE $pattern ESCAPE '{ESCAPE}', $other ILIKE $pattern ESCAPE '{ESCAPE}'"
    bound = {"text": text, "pattern": term.pattern, "other": text + "x"}
    assert duckdb.execute(ask, bound).fetchall() == [(True, False)]


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab_:,'\"\\*? \n"), max_size=10))
def test_law_every_text_is_a_query_or_refused_with_its_place(text):
    try:
        told = f"{len(search_terms(text))} terms"
    except QueryError as error:
        told = str(error)
    blank = not text.strip()
    assert told == "0 terms" if blank else (told[0].isdigit() or " at character " in told)
