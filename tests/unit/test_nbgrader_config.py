"""Do nbgrader's settings agree with the program's?"""

from traitlets.config import PyFileConfigLoader

from autograder.observe.client import LIMIT_S
from autograder.paths import ASSIGNMENT, ROOT


def test_a_graded_cell_outlives_the_observation_that_it_waits_for() -> None:
    config = PyFileConfigLoader("nbgrader_config.py", str(ROOT)).load_config()
    assert config.Execute.timeout > LIMIT_S + 30  # and the time to end it


def test_the_assignment_that_is_kept_from_release_is_ours() -> None:
    text = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    assert f"/source/./{ASSIGNMENT}/" in text
