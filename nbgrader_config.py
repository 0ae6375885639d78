"""nbgrader's settings, for its stock commands run in this folder and for the course's own grading.

Beware: `nbgrader autograde` runs what students wrote in your account, without a sandbox.
"""

from pathlib import Path

from nbgrader.converters import Autograde
from nbgrader.preprocessors import SaveAutoGrades

from autograder.grading.preprocessors import SaveGrades

c = get_config()  # noqa: F821 - nbgrader provides it

c.CourseDirectory.course_id = "orchestration-week"

# What a student gets in place of a solution: one line, which reads well in Python and in Markdown.
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError()  # YOUR WORK: put it in place of this line"}

# A graded cell waits while the pipeline runs on a real Airflow.
c.Execute.timeout = 900

# A grade cell that a student deleted comes back, and gives what it gives. Without this, the submission before
# it keeps its points.
c.OverwriteCells.add_missing_cells = True

# A warning from a student's own code must not cost the points of the cell that it appears in.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"Warning\b"

# What the checker could not check is marked for a grade by hand, and is no silent 0.
c.Autograde.autograde_preprocessors = [
    SaveGrades if step is SaveAutoGrades else step for step in Autograde.autograde_preprocessors.default()
]

# What lies beside a source notebook is the teacher's: its text twin, and what running it there wrote. It must
# neither be released nor replace what students hand in. By the whole path, as nbgrader spells it: a bare name
# would drop the students' own dags/ too.
c.CourseDirectory.ignore.extend(
    [f"{Path.cwd()}/source/./orchestrated_pipeline/{name}" for name in ("orchestrated_pipeline.md", "dags", "include")]
)
