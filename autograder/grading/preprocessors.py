"""A step of nbgrader's autograding: what the checker could not check is for a person to grade.

Contract: `SaveGrades` saves grades as stock nbgrader does, but for grade cells that raised `CouldNotCheckError`:
these get no score, and the gradebook (and so formgrader) marks them as needing a manual grade. nbgrader_config.py
puts it in place.
"""

from typing import Any

from nbgrader.preprocessors import SaveAutoGrades

UNCHECKED = "CouldNotCheckError"
"""What `autograder.cells` raises where the fault is not the student's."""


class SaveGrades(SaveAutoGrades):  # type: ignore[misc] # nbgrader has no types
    """Save the grades of a notebook into the gradebook."""

    def _add_score(self, cell: Any, resources: Any) -> None:  # noqa: ANN401 - nbformat has no types
        super()._add_score(cell, resources)
        if any(output.output_type == "error" and output.ename == UNCHECKED for output in cell.get("outputs", [])):
            name = cell.metadata["nbgrader"]["grade_id"]
            grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
            grade.auto_score, grade.needs_manual_grade = None, True
            self.gradebook.db.commit()
            self.log.warning("%s of %s could not be checked: grade it by hand, or again.", name, self.student_id)
