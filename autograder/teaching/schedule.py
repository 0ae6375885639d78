"""When a schedule's next runs are, from Airflow's own timetables.

Contract: `next_runs` asks the timetable that Airflow would use for the same text in `@dag(schedule=…)`. Importing
Airflow takes a second or two, which the first call pays.
"""

from datetime import UTC, datetime

from autograder.errors import CourseError
from autograder.teaching.shown import Shown, table


def next_runs(schedule: str, count: int = 5, after: datetime | None = None, timezone: str = "UTC") -> Shown:
    """Show the next runs of a cron expression or preset: when, in its own time zone and in UTC.

    Parameters
    ----------
    schedule
        As in `@dag(schedule=…)`: five fields, or a preset such as `@monthly`.
    count
        How many runs.
    after
        The moment from which to look; now when not given.
    timezone
        The time zone that the fields are meant in, such as `Europe/Amsterdam`.

    Raises
    ------
    CourseError
        When it is not a cron expression.
    """
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable
    from pendulum import instance

    try:
        timetable = CronTriggerTimetable(schedule, timezone=timezone)
        timetable.validate()
    except Exception as error:  # croniter and pendulum have an error each for every kind of mistake
        raise CourseError(
            f"Airflow does not accept {schedule!r} in {timezone!r}: {error}",
            todo="Write five fields, as in '0 6 * * 1-5': minute, hour, day of month, month, day of week.",
            exit_code=1,
        ) from error
    # A run exactly at `after` counts, as it does when a DAG's start date is that moment.
    earliest = instance(after or datetime.now(UTC))
    heads = ["day", f"in {timezone}", *(["in UTC"] if timezone != "UTC" else [])]
    rows, last = [], None
    for _ in range(count):
        info = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=TimeRestriction(earliest, None, True))
        if info is None or info.run_after is None:
            break
        local = info.run_after.in_timezone(timezone)
        row = [f"{local:%A}", f"{local:%Y-%m-%d %H:%M %Z}", f"{info.run_after.in_timezone('UTC'):%Y-%m-%d %H:%M}"]
        rows.append(row[: len(heads)])
        last = info
    return table(heads, rows, f"Next runs of {schedule!r}: {len(rows)}.")
