"""What pipelines sent to the connection `notify`, as a team's chat or mailbox would receive it.

Contract: shows the requests that came to the receiver of this notebook's Airflow since it was started, oldest first.
"""

import os
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.teaching.shown import Shown, table
from autograder.waiting import until


def notifications(containing: str = "") -> Shown:
    """Show the notifications that came so far.

    Parameters
    ----------
    containing
        A text in the path or the body, such as a DAG's id; all notifications when empty.
    """
    rows = [[one["time"][11:19], one["method"], one["path"], one["body"]] for one in received(containing)]
    return table(["time (UTC)", "method", "path", "body"], rows, f"Notifications: {len(rows)}.")


def wait_for_notification(containing: str = "", number: int = 1, limit: float = 60) -> None:
    """Wait until so many notifications have come, since the Airflow was started.

    Parameters
    ----------
    containing
        A text in the path or the body.
    number
        How many.
    limit
        Seconds to wait.

    Raises
    ------
    CourseError
        After `limit`.
    """
    until(
        lambda: len(received(containing)) >= number,
        f"{len(received(containing))} of {number} notifications came", limit,
        "Has the run ended as you expect, and does the callback name the connection notify?",
    )  # fmt: skip
    print(f"Notifications so far: {len(received(containing))}.")


def received(containing: str = "") -> list[dict[str, Any]]:
    """Return the notifications that came so far: time, method, path and body of each.

    Raises
    ------
    CourseError
        When the notebook has no receiver.
    """
    from autograder.airflow_local.source import read_log  # imports a web server

    if "COURSE_NOTIFICATIONS" not in os.environ:
        raise CourseError(
            "This notebook has no receiver of notifications.",
            where="environment variable COURSE_NOTIFICATIONS",
            todo="Open the notebooks with ./course lab.",
        )
    log = Path(os.environ["COURSE_NOTIFICATIONS"])
    found = read_log(log) if log.exists() else []
    return [one for one in found if containing in f"{one['path']} {one['body']}"]
