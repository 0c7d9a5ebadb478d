r"""The query language of the Dioptra API: a text as conditions, all of which an entry must meet.

::

    terms  = term {"," term}
    term   = [field ":"] value
    field  = letters and "_"
    value  = quoted | words
    quoted = "'" {character} "'"  |  '"' {character} '"'
    words  = {letter | digit | "_" | "*" | "?" | escaped}; with blanks only where there is no field

`*` stands for any characters and `?` for one; `\\`, `\*`, `\?`, `\"`, `\'` and `\n` for
themselves, the last one for a line feed. With a field the value is the whole content; without, its
words must be found one after another in any one of the fields. Upper and lower case are one.
Source: the grammar of the published Dioptra server, `restapi/v1/shared/search_parser.py`.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from engine.errors import QueryError
from engine.values import shown

__all__ = ["ESCAPE", "Term", "search_terms"]

ESCAPE = "/"
"""What stands before a `%`, `_` or `/` that is meant literally in a pattern."""

_BLANKS = " \t\r\n"
_FIELD = re.compile(r"([A-Za-z_]+)[ \t\r\n]*:")
_ESCAPED = {"\\": "\\", "*": "*", "?": "?", '"': '"', "'": "'", "n": "\n"}
_WILD = {"*": "%", "?": "_"}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: the field (None: any one of them), and a pattern for LIKE with `ESCAPE`."""

    field: str | None
    pattern: str


def search_terms(text: str) -> tuple[Term, ...]:
    """Give the conditions that a search text states; none for a blank one.

    Raises
    ------
    QueryError
        If the text is no query; the message says where.

    Examples
    --------
    >>> search_terms("name:loss_*, finished")
    (Term(field='name', pattern='loss/_%'), Term(field=None, pattern='%finished%'))
    """
    if not text.strip(_BLANKS):
        return ()
    reader, found = _Reader(text), []
    while True:
        found.append(reader.term())
        if reader.at_end():
            return tuple(found)
        reader.comma()


class _Reader:
    """Reads a text from left to right; `at` is the place of the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def at_end(self) -> bool:
        self._skip()
        return self.at == len(self.text)

    def comma(self) -> None:
        if self.text[self.at] != ",":
            self._fail("a comma between terms, and values with other characters quoted")
        self.at += 1

    def term(self) -> Term:
        self._skip()
        named = _FIELD.match(self.text, self.at)
        if named is not None:
            self.at = named.end()
            self._skip()
        parts = self._quoted() if self._next() in ("'", '"') else self._words(many=named is None)
        if named is not None:
            return Term(named[1], "".join(parts))
        return Term(None, f"%{'%'.join(parts)}%")

    def _skip(self) -> None:
        while self._next() in _BLANKS and self._next():
            self.at += 1

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _quoted(self) -> list[str]:
        quote, start, found = self._next(), self.at, ""
        self.at += 1
        while self._next() != quote:
            if not self._next() or self._next() == "\n":
                self._fail(f"closed by {quote} where it is opened at {start + 1}")
            found += self._character(quoted=True)
        if not found:
            self._fail("a text within the quotes")
        self.at += 1
        return [found]

    def _words(self, *, many: bool) -> list[str]:
        found: list[str] = []
        start = self.at
        while self._is_word():
            word = ""
            while self._is_word():
                word += self._character(quoted=False)
            found.append(word)
            if not many:
                break
            self._skip()
        if self.at == start:
            self._fail("a word, or a text in quotes")
        return found

    def _is_word(self) -> bool:
        character = self._next()
        return character.isalnum() or (character != "" and character in "_*?\\")

    def _character(self, *, quoted: bool) -> str:
        """Take one character, or a wildcard, or what is escaped, as part of a pattern."""
        character = self._next()
        if character in _WILD:
            self.at += 1
            return _WILD[character]
        if character == "\\":
            meant = _ESCAPED.get(self.text[self.at + 1 : self.at + 2])
            if meant is None:
                self._fail("one of \\\\ \\* \\? \\\" \\' \\n where a backslash stands")
            self.at += 2
            character = meant
        elif quoted and not character.isprintable():
            self._fail("a text of printable characters")
        else:
            self.at += 1
        return ESCAPE + character if character in "%_/" else character

    def _fail(self, rule: str) -> NoReturn:
        got = shown(self._next()) if self._next() else "its end"
        msg = f"`search` must be {rule}, got {got} at character {self.at + 1}"
        raise QueryError(msg)
