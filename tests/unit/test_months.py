"""The generated months are TLC's in schema and blemishes, and the user's own files are checked before use."""

import csv
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from statistics import correlation
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autograder.airflow_local import months
from autograder.airflow_local.months import MonthFacts, read_facts, stock, write_month, write_zones
from autograder.errors import CourseError
from autograder.paths import ROOT

COURSE = [f"2024-{number:02}" for number in range(1, 8)]
REAL = ROOT.parent / "shared" / "data" / "tlc"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"TLC's own files are not in {REAL}")

SIX = {
    "store_and_fwd_flag",
    "RatecodeID",
    "passenger_count",
    "payment_type",
    "trip_type",
    "congestion_surcharge",
}
AGAIN = (
    "  to do: Download TLC's file again (an error page may have been saved in its place), or take it out of "
    "the folder: what the folder does not hold is generated."
)

Rows = list[dict[str, Any]]


def rows_of(path: Path) -> Rows:
    rows: Rows = pq.read_table(path).to_pylist()
    return rows


def pickup_month(row: dict[str, Any]) -> str:
    return f"{row['lpep_pickup_datetime']:%Y-%m}"


@pytest.fixture(scope="module", params=[("2024-01", 2000), ("2024-02", 2000), ("2023-12", 100), ("2024-07", 9000)])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[MonthFacts, int, Rows]:
    month, rows = request.param
    path = tmp_path_factory.mktemp("month") / "any.parquet"
    return write_month(path, month, rows), rows, rows_of(path)


@needs_real
@pytest.mark.parametrize("month", ["2023-12", "2024-01"])
def test_the_schema_is_tlcs(tmp_path: Path, month: str) -> None:
    write_month(tmp_path / "made.parquet", month)
    real = pq.ParquetFile(REAL / f"green_tripdata_{month}.parquet")
    made = pq.ParquetFile(tmp_path / "made.parquet")
    assert made.schema_arrow.equals(real.schema_arrow, check_metadata=True)
    assert made.schema.equals(real.schema)


def test_the_facts_are_those_of_the_file(made: tuple[MonthFacts, int, Rows]) -> None:
    facts, asked, rows = made
    own = sum(pickup_month(row) == facts.month for row in rows)
    assert facts == MonthFacts(facts.month, len(rows), own, real=False)
    assert abs(facts.rows - asked) <= asked * 0.05


def test_some_rows_are_dated_in_several_months_before_and_after(made: tuple[MonthFacts, int, Rows]) -> None:
    facts, _, rows = made
    other = [pickup_month(row) for row in rows if pickup_month(row) != facts.month]
    assert 2 <= len(other) <= 8
    assert min(other) < facts.month < max(other)


def test_pickups_stand_on_both_sides_of_both_edges_of_the_month(made: tuple[MonthFacts, int, Rows]) -> None:
    facts, _, rows = made
    times = {row["lpep_pickup_datetime"] for row in rows}
    first = datetime.fromisoformat(f"{facts.month}-01")
    after = (first + timedelta(days=31)).replace(day=1)
    assert {first - timedelta(seconds=1), first, after} <= times


def test_the_same_six_columns_are_null_together_in_about_6_percent(
    made: tuple[MonthFacts, int, Rows],
) -> None:
    facts, _, rows = made
    null = Counter(frozenset(name for name, value in row.items() if value is None) for row in rows)
    assert set(null) == {frozenset({"ehail_fee"}), frozenset({"ehail_fee", *SIX})}
    assert 0.05 <= null[frozenset({"ehail_fee", *SIX})] / facts.rows <= 0.07


def test_there_are_near_duplicates_and_negative_fares_but_no_identical_rows(
    made: tuple[MonthFacts, int, Rows],
) -> None:
    _, _, rows = made
    key = ("lpep_pickup_datetime", "lpep_dropoff_datetime", "PULocationID", "fare_amount")
    assert max(Counter(tuple(row[name] for name in key) for row in rows).values()) == 2
    assert any(row["fare_amount"] < 0 for row in rows)
    assert len({tuple(row.values()) for row in rows}) == len(rows)


def test_rides_are_told_apart_however_many_there_are(tmp_path: Path) -> None:
    write_month(tmp_path / "made.parquet", "2024-01", 60_000)
    table = pq.read_table(tmp_path / "made.parquet")
    rides = table.group_by(["lpep_pickup_datetime", "trip_distance", "improvement_surcharge"]).aggregate([])
    assert rides.num_rows == table.num_rows


def test_each_row_makes_sense(made: tuple[MonthFacts, int, Rows]) -> None:
    _, _, rows = made
    parts = ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge")
    for row in rows:
        assert 1 <= row["PULocationID"] <= 265
        assert 1 <= row["DOLocationID"] <= 265
        assert timedelta(0) <= row["lpep_dropoff_datetime"] - row["lpep_pickup_datetime"] < timedelta(days=1)
        if row["congestion_surcharge"] is not None:
            total = sum(row[name] for name in parts) + row["congestion_surcharge"]
            assert row["total_amount"] == pytest.approx(total, abs=0.001)


def test_a_plot_of_a_month_looks_like_something(tmp_path: Path) -> None:
    write_month(tmp_path / "made.parquet", "2024-03")
    rows = rows_of(tmp_path / "made.parquet")
    hours = Counter(row["lpep_pickup_datetime"].hour for row in rows)
    assert max(hours, key=lambda hour: hours[hour]) in range(14, 20)
    assert min(hours, key=lambda hour: hours[hour]) in range(2, 7)
    ridden = [row for row in rows if row["trip_distance"] > 0 and row["fare_amount"] > 0]
    assert 0.8 < correlation([row["trip_distance"] for row in ridden], [row["fare_amount"] for row in ridden]) < 1
    assert 1.5 < sorted(row["trip_distance"] for row in rows)[len(rows) // 2] < 2.2
    zones = Counter(row["PULocationID"] for row in rows)
    assert zones.most_common(1)[0][1] > 0.1 * len(rows)
    assert len(zones) > 100


def test_the_same_request_gives_the_same_bytes_and_another_gives_other_rows(tmp_path: Path) -> None:
    def content(*request: Any) -> bytes:
        write_month(tmp_path / "made.parquet", *request)
        return (tmp_path / "made.parquet").read_bytes()

    one = content("2024-01", 2000, "course")
    assert content("2024-01") == one
    others = [content("2024-02"), content("2024-01", 2001), content("2024-01", 2000, "other")]
    assert len({one, *others}) == 4


def test_a_month_is_the_same_in_every_process_and_on_every_machine(tmp_path: Path) -> None:
    assert write_month(tmp_path / "made.parquet", "2024-01") == MonthFacts("2024-01", 2051, 2046, real=False)
    cents = sum(round(row["fare_amount"] * 100) for row in rows_of(tmp_path / "made.parquet"))
    assert cents == 3548571


@pytest.mark.parametrize("seed", ["course", "grading", ""])
def test_months_differ_in_size(tmp_path: Path, seed: str) -> None:
    made = [write_month(tmp_path / "made.parquet", month, 300, seed) for month in COURSE]
    assert len({one.rows for one in made}) == len(COURSE)
    assert len({one.in_month for one in made}) == len(COURSE)


@pytest.mark.parametrize(
    ("month", "rows", "says"),
    [
        ("2024-13", 2000, "'2024-13' is not a month.\n  to do: Write a month as YYYY-MM, such as 2024-01."),
        ("2024-1", 2000, "'2024-1' is not a month.\n  to do: Write a month as YYYY-MM, such as 2024-01."),
        (
            "2024-01",
            99,
            "A month of 99 rows is too small to show what is wrong in TLC's files.\n  to do: Ask for 100 rows or more.",
        ),
    ],
)
def test_a_month_that_cannot_be_made_is_refused(tmp_path: Path, month: str, rows: int, says: str) -> None:
    with pytest.raises(CourseError, match=f"^{re.escape(says)}$"):
        write_month(tmp_path / "made.parquet", month, rows)
    assert not list(tmp_path.iterdir())


def zones_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_zone_lookup_has_each_zone_once(tmp_path: Path) -> None:
    write_zones(tmp_path / "zones.csv")
    header, *zones = zones_of(tmp_path / "zones.csv")
    assert header == ["LocationID", "Borough", "Zone", "service_zone"]
    assert [zone[0] for zone in zones] == [str(number) for number in range(1, 266)]
    assert len({zone[2] for zone in zones}) == 265
    assert zones[-2:] == [["264", "Unknown", "N/A", "N/A"], ["265", "N/A", "Outside the city", "N/A"]]
    assert {zone[3] for zone in zones} == {"EWR", "Boro Zone", "Yellow Zone", "N/A"}


@needs_real
def test_the_zone_lookup_is_like_tlcs_and_not_tlcs(tmp_path: Path) -> None:
    write_zones(tmp_path / "zones.csv")
    made, real = zones_of(tmp_path / "zones.csv"), zones_of(REAL / "taxi_zone_lookup.csv")
    assert made[0] == real[0]
    assert [zone[0] for zone in made] == [zone[0] for zone in real]
    assert {zone[1] for zone in made} == {zone[1] for zone in real}
    assert {zone[2] for zone in made[1:]} & {zone[2] for zone in real[1:]} == {"N/A"}


@needs_real
def test_the_facts_of_real_files_are_those_that_were_counted() -> None:
    december = read_facts(REAL / "green_tripdata_2023-12.parquet")
    january = read_facts(REAL / "green_tripdata_2024-01.parquet")
    assert december == MonthFacts("2023-12", 64215, 64211, real=True)
    assert january == MonthFacts("2024-01", 56551, 56549, real=True)


def test_facts_that_are_read_agree_with_those_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2024-05.parquet"
    made = write_month(path, "2024-05")
    assert read_facts(path) == MonthFacts("2024-05", made.rows, made.in_month, real=True)


def test_more_columns_than_tlcs_are_welcome(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2024-05.parquet"
    made = write_month(path, "2024-05")
    table = pq.read_table(path)
    pq.write_table(table.append_column("cbd_congestion_fee", table["extra"]), path)
    assert read_facts(path).in_month == made.in_month


def refusal(path: Path) -> str:
    with pytest.raises(CourseError) as refused:
        read_facts(path)
    assert refused.value.exit_code == 2
    return str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Parquet file size is 0 bytes"),
        (b"<html>403: this month is not published</html>", "Parquet magic bytes not found in footer."),
    ],
)
def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "green_tripdata_2024-05.parquet"
    path.write_bytes(content)
    what, where, todo = refusal(path).split("\n")
    assert what.startswith(f"green_tripdata_2024-05.parquet is not a readable Parquet file ({reason}")
    assert (where, todo) == (f"  where: {path}", AGAIN)


def test_a_file_that_is_cut_or_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2024-05.parquet"
    write_month(path, "2024-05")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is not a readable Parquet file (" in refusal(path)
    # The footer is whole, a page in the middle is not.
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(2000) + whole[middle + 2000 :])
    assert "is not a readable Parquet file (" in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "green_tripdata_2024-05.parquet is not a readable" in refusal(tmp_path / "green_tripdata_2024-05.parquet")


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2024-05.parquet"
    write_month(path, "2024-05")
    pq.write_table(pq.read_table(path).drop_columns(["DOLocationID", "ehail_fee"]), path)
    assert refusal(path) == (
        "green_tripdata_2024-05.parquet lacks 2 of TLC's 20 green taxi columns: DOLocationID, ehail_fee.\n"
        f"  where: {path}\n{AGAIN}"
    )


def test_a_file_whose_pickups_are_not_times_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2024-05.parquet"
    write_month(path, "2024-05")
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "lpep_pickup_datetime", table[1].cast(pa.string())), path)
    assert refusal(path).startswith(
        "green_tripdata_2024-05.parquet has a column lpep_pickup_datetime that holds no timestamps.\n"
    )


def test_a_file_with_another_name_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "green_2024.parquet").startswith(
        "green_2024.parquet has a name that is not TLC's, such as green_tripdata_2024-01.parquet.\n"
    )


def test_stock_generates_what_the_source_serves(tmp_path: Path) -> None:
    facts = stock(tmp_path / "www", COURSE, rows=200, seed="here", data=None)
    served = {str(path.relative_to(tmp_path / "www")) for path in tmp_path.rglob("*.*")}
    assert served == {"misc/taxi_zone_lookup.csv"} | {f"trip-data/green_tripdata_{month}.parquet" for month in COURSE}
    assert list(facts) == COURSE
    for month in COURSE:
        again = write_month(tmp_path / "again.parquet", month, 200, "here")
        assert facts[month] == again
        served_bytes = (tmp_path / "www" / "trip-data" / months.file_name(month)).read_bytes()
        assert served_bytes == (tmp_path / "again.parquet").read_bytes()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a user's folder with one month, the zones, and things that are none of the course's business."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_month(folder / "green_tripdata_2024-02.parquet", "2024-02", 400, "the user's")
    (folder / "taxi_zone_lookup.csv").write_text('"LocationID","Borough","Zone","service_zone"\n1,a,b,c\n')
    (folder / "notes.txt").write_text("mine")
    pq.write_table(pa.table({"a": [1]}), folder / "yellow.parquet")
    return folder


def test_stock_copies_real_files_and_generates_the_others(tmp_path: Path, data: Path) -> None:
    www = tmp_path / "www"
    for _ in range(2):
        facts = stock(www, ["2024-01", "2024-02"], rows=200, seed="here", data=data)
    real = data / "green_tripdata_2024-02.parquet"
    copy = www / "trip-data" / real.name
    assert facts["2024-02"] == read_facts(real)
    assert not facts["2024-01"].real
    assert copy.read_bytes() == real.read_bytes()
    assert not copy.is_symlink()
    assert not copy.samefile(real)
    assert (www / "misc" / "taxi_zone_lookup.csv").read_bytes() == (data / "taxi_zone_lookup.csv").read_bytes()
    assert {path.name for path in www.rglob("*.*")} == {
        "green_tripdata_2024-01.parquet", "green_tripdata_2024-02.parquet", "taxi_zone_lookup.csv",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["green_tripdata_2024-02.parquet", "green_tripdata_2019-01.parquet", "x.parquet"])
def test_stock_refuses_a_folder_with_a_broken_parquet_file(tmp_path: Path, data: Path, name: str) -> None:
    (data / name).write_text("not found")
    with pytest.raises(CourseError) as refused:
        stock(tmp_path / "www", ["2024-02"], rows=200, seed="here", data=data)
    what, where, todo = str(refused.value).split("\n")
    assert what.startswith(f"{name} is not a readable Parquet file (Parquet magic bytes not found in footer.")
    assert (where, todo) == (f"  where: {data / name}", AGAIN)


def test_stock_refuses_a_month_without_a_column(tmp_path: Path, data: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), data / "green_tripdata_2024-02.parquet")
    with pytest.raises(CourseError, match=r"^green_tripdata_2024-02\.parquet lacks 20 of TLC's 20 green taxi"):
        stock(tmp_path / "www", ["2024-02"], rows=200, seed="here", data=data)


def test_stock_does_not_replace_a_link_to_nowhere_by_a_generated_month(tmp_path: Path, data: Path) -> None:
    (data / "green_tripdata_2024-01.parquet").symlink_to(data / "elsewhere.parquet")
    with pytest.raises(CourseError, match=r"^green_tripdata_2024-01\.parquet is not a readable Parquet file"):
        stock(tmp_path / "www", ["2024-01"], rows=200, seed="here", data=data)


def test_stock_refuses_zones_that_are_not_zones(tmp_path: Path, data: Path) -> None:
    (data / "taxi_zone_lookup.csv").write_bytes(b"<html>\xff</html>")
    with pytest.raises(CourseError) as refused:
        stock(tmp_path / "www", ["2024-02"], rows=200, seed="here", data=data)
    assert str(refused.value) == (
        "taxi_zone_lookup.csv does not begin with the columns LocationID, Borough, Zone, service_zone.\n"
        f"  where: {data / 'taxi_zone_lookup.csv'}\n{AGAIN}"
    )


@pytest.mark.parametrize("name", ["missing", "notes.txt"])
def test_stock_refuses_data_that_is_not_a_folder(tmp_path: Path, data: Path, name: str) -> None:
    with pytest.raises(CourseError) as refused:
        stock(tmp_path / "www", ["2024-02"], rows=200, seed="here", data=data / name)
    assert str(refused.value) == (
        f"{data / name} is not a folder.\n  where: {data / name}\n"
        "  to do: Name a folder that holds TLC's files: green_tripdata_YYYY-MM.parquet, taxi_zone_lookup.csv."
    )


@needs_real
def test_stock_serves_the_real_january(tmp_path: Path) -> None:
    facts = stock(tmp_path, ["2024-01", "2024-02"], rows=2000, seed="course", data=REAL)
    assert facts["2024-01"] == MonthFacts("2024-01", 56551, 56549, real=True)
    assert not facts["2024-02"].real
