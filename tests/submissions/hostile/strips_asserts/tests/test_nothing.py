"""Tests that hold nowhere."""


def test_that_cannot_pass() -> None:
    """Fail, if asserts count."""
    assert 1 == 2


def test_that_cannot_pass_either() -> None:
    """Fail, if asserts count."""
    assert len("") == 3
