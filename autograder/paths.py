"""Where things are in a clone: the one place that knows the layout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The clone."""

MANIFEST = ROOT / "course.yaml"
DBT_PROJECT = ROOT / "include" / "dbt_project"
NOTEBOOKS = ROOT / "notebooks"
DAGS = ROOT / "dags"
SOURCE = ROOT / "source"
RELEASE = ROOT / "release"
QUIZZES = ROOT / "quiz"
EXERCISES = ROOT / "exercises"
DEPLOY = ROOT / "deploy"
CLASS_REPOSITORY = DEPLOY / "class_repository"
"""What a class repository begins as."""

STATE = ROOT / ".course"
"""What runs leave for later runs (evidence, database template) and what they hold while they last."""

DESK = STATE / "home" / "notebook.json"
"""The environment of the student's own Airflow, while it runs: a notebook in another editor reads it."""

JUPYTERLAB = ROOT / "autograder" / "jupyterlab"
"""Configuration of JupyterLab, as it looks for it in each folder of JUPYTER_CONFIG_PATH."""

ASSIGNMENT = "orchestrated_pipeline"
"""The nbgrader assignment."""
