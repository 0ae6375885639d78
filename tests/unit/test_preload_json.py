"""What stands in for `json.dump` in the warm dbt writes the same."""

import io
import json

import pytest

from autograder.airflow_local.preload import write_json_at_once


class Encoder(json.JSONEncoder):
    """As dbt's: what JSON does not know becomes text."""

    def default(self, o: object) -> str:
        """Return the object as text."""
        return str(o)


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, True, {"é": "\u2028"}]}, [], {"set": frozenset({1})}, {1: {"b": float("nan")}}]
)
@pytest.mark.parametrize("options", [{"cls": Encoder}, {"cls": Encoder, "indent": 2, "sort_keys": True}])
def test_same_text(value: object, options: dict[str, object]) -> None:
    ours, theirs = io.StringIO(), io.StringIO()
    write_json_at_once(value, ours, **options)
    json.dump(value, theirs, **options)  # type: ignore[arg-type]
    assert ours.getvalue() == theirs.getvalue()
