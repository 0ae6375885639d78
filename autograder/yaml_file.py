"""A YAML file whose mistakes are named by their line.

Contract: `read()` returns the file's top mapping as an `Entry`. Asking an entry for a key gives a value of
the kind that was asked for, or raises `CourseError` with the file, the line and the key.
"""

from pathlib import Path

import yaml

from autograder.errors import CourseError


class Entry:
    """A mapping in a YAML file, whose values are asked for by key and kind."""

    def __init__(self, node: yaml.Node, path: Path) -> None:
        self._node, self._path = node, path
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "this should be keys with values")
        self._values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.value in self._values:
                raise self._error(key, f"the key {key.value!r} is there twice")
            self._values[key.value] = value

    def only(self, *keys: str) -> None:
        """Raise `CourseError` at a key that is not one of these."""
        for key, _ in self._node.value:
            if key.value not in keys:
                raise self._error(key, f"unknown key {key.value!r}; the keys here are {', '.join(keys)}")

    def __contains__(self, key: str) -> bool:
        """Say whether a key is there."""
        return key in self._values

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        return self._scalar(self._value(key), "str", f"{key} should be a text")

    def number(self, key: str) -> int:
        """Return a whole number of 1 or more."""
        number = int(self._scalar(self._value(key), "int", f"{key} should be a whole number"))
        if number < 1:
            raise self.error(key, f"{key} is {number}; it should be 1 or more")
        return number

    def flag(self, key: str) -> bool:
        """Return true or false; a key that is not there is false."""
        return key in self and self._scalar(self._value(key), "bool", f"{key} should be true or false") == "true"

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(self._scalar(node, "str", f"{key} should be texts") for node in self._list(key))

    def entries(self, key: str) -> list["Entry"]:
        """Return a list of mappings."""
        return [Entry(node, self._path) for node in self._list(key)]

    def error(self, key: str, what: str) -> CourseError:
        """Return the error that says what is wrong with a key's value."""
        return self._error(self._value(key), what)

    def _value(self, key: str) -> yaml.Node:
        if key not in self._values:
            raise self._error(self._node, f"the key {key!r} is missing")
        return self._values[key]

    def _list(self, key: str) -> list[yaml.Node]:
        node = self._value(key)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self._error(node, f"{key} should be a list that is not empty")
        return list(node.value)

    def _scalar(self, node: yaml.Node, kind: str, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != f"tag:yaml.org,2002:{kind}" or not node.value:
            raise self._error(node, what)
        return str(node.value)

    def _error(self, node: yaml.Node, what: str) -> CourseError:
        return _error(self._path, node.start_mark.line + 1, what)


def read(path: Path) -> Entry:
    """Read a YAML file that holds one mapping.

    Raises
    ------
    CourseError
        When the file cannot be read, is not YAML, or holds something else.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise CourseError(f"{path.name} cannot be read: {error.strerror}.", where=str(path)) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _error(path, line, error.problem or "this is not YAML") from error
    if node is None:
        raise _error(path, 1, "the file is empty")
    return Entry(node, path)


def _error(path: Path, line: int, what: str) -> CourseError:
    return CourseError(
        f"{path.name} has a mistake in line {line}: {what}.", where=f"{path}:{line}", todo="Mend that line."
    )
