"""The student's version of the assignment, made by stock nbgrader.

Contract: the files are those of `nbgrader generate_assignment`, with this clone's nbgrader_config.py, on the
assignment's notebook alone: whatever else lies in source/ never comes near release/.
"""

import tempfile
from pathlib import Path

from autograder.errors import CourseError
from autograder.grading.course_folder import CourseFolder


def release_files(assignment: str, notebook: bytes) -> dict[str, bytes]:
    """Return the release version's files by their path within the assignment's folder.

    Parameters
    ----------
    assignment
        The assignment's name, which is its notebook's too.
    notebook
        The teacher's notebook.

    Raises
    ------
    CourseError
        When nbgrader refuses the notebook.
    """
    with tempfile.TemporaryDirectory(prefix="course-release-") as folder:
        source = Path(folder) / "made" / assignment
        source.mkdir(parents=True)
        (source / f"{assignment}.ipynb").write_bytes(notebook)
        course = Path(folder) / "course"
        course.mkdir()
        try:
            release = CourseFolder.make(course, source).release
        except CourseError as error:  # its log goes with the folder
            raise CourseError(error.what, where=f"source/{assignment}/{assignment}.md") from error
        return {
            str(path.relative_to(release)): path.read_bytes() for path in sorted(release.rglob("*")) if path.is_file()
        }
