"""The files that the source serves: green taxi months made from a seed, or real ones that the user has.

Contract: `stock` fills a folder with `trip-data/green_tripdata_YYYY-MM.parquet` and
`misc/taxi_zone_lookup.csv`, and says of each month how many rows it serves and how many are its own (picked
up in that month). A generated month has TLC's exact schema and its blemishes (rows of other months, six
columns null together, near-duplicates, negative fares), holds no two identical rows, and is the same for
the same seed, month and size. Bad input raises `CourseError`; a user's file is only ever read.
"""

import csv
import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autograder.errors import CourseError

Array = npt.NDArray[Any]

_COLUMNS = """
VendorID int32, lpep_pickup_datetime timestamp[us], lpep_dropoff_datetime timestamp[us],
store_and_fwd_flag large_string, RatecodeID int64, PULocationID int32, DOLocationID int32,
passenger_count int64, trip_distance double, fare_amount double, extra double, mta_tax double,
tip_amount double, tolls_amount double, ehail_fee double, improvement_surcharge double,
total_amount double, payment_type int64, trip_type int64, congestion_surcharge double
"""
SCHEMA = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in map(str.split, _COLUMNS.split(","))])
NULL_TOGETHER = {
    *("store_and_fwd_flag", "RatecodeID", "passenger_count"),
    *("payment_type", "trip_type", "congestion_surcharge"),
}
ZONES_FILE = "taxi_zone_lookup.csv"
ZONES_HEADER = ["LocationID", "Borough", "Zone", "service_zone"]
SMALLEST = 100
"""The fewest rows that hold every blemish."""

_STRAYS = 5  # rows of other months
_TWINS = 2  # pairs of near-duplicates
_ZONES = 265
_BOROUGHS = (
    *("Manhattan", "Queens", "Brooklyn", "Manhattan", "Queens", "Bronx"),
    *("Brooklyn", "Manhattan", "Queens", "Bronx", "Brooklyn", "Staten Island"),
)
_HOURS = np.array([4, 3, 2, 2, 1, 1, 3, 8, 10, 11, 11, 11, 11, 12, 13, 15, 15, 16, 15, 12, 9, 7, 6, 5])
_WEEKDAYS = np.array([9, 10, 11, 11, 10, 9, 7])  # Monday first
_MONTH = r"\d{4}-(?:0[1-9]|1[0-2])"


@dataclass(frozen=True)
class MonthFacts:
    """What one served month ('YYYY-MM') holds: its rows, those picked up in it, and whether it is real."""

    month: str
    rows: int
    in_month: int
    real: bool


def file_name(month: str) -> str:
    """Return TLC's name for the file of a month ('YYYY-MM')."""
    return f"green_tripdata_{month}.parquet"


def _zone(number: int) -> list[str]:
    """Return a zone's borough, name and service zone: names of ours, with TLC's odd ones at the ends."""
    if number == 1:
        return ["EWR", "EWR airport", "EWR"]
    if number >= _ZONES - 1:
        return ["Unknown", "N/A", "N/A"] if number < _ZONES else ["N/A", "Outside the city", "N/A"]
    place = number % len(_BOROUGHS)
    service = "Yellow Zone" if place in (0, 3) else "Boro Zone"
    return [_BOROUGHS[place], f"{_BOROUGHS[place]} zone {number}", service]


def write_zones(path: Path) -> None:
    """Write a zone lookup (CSV) with TLC's header and location IDs, 1 to 265."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(ZONES_HEADER)
        writer.writerows([number, *_zone(number)] for number in range(1, _ZONES + 1))


def _rng(*key: str | int) -> np.random.Generator:
    """Return a generator that depends on the key alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(json.dumps(key).encode()).digest()))


def _size(month: str, rows: int, seed: str) -> int:
    """Return a row count within 5 % of `rows` that months near each other do not share."""
    margin = rows // 20
    width = 2 * margin + 1
    # A step prime to the width visits every count before it comes back to one.
    step = next(step for step in range(2 * width // 5, width) if math.gcd(step, width) == 1)
    start = int(_rng(seed, "size", rows).integers(width))
    return rows - margin + (start + int(np.datetime64(month, "M").astype(int)) * step) % width


def _pickups(rng: np.random.Generator, month: str, count: int) -> Array:
    """Draw pickup times in a month, by weekday and hour, in order."""
    days = np.arange(np.datetime64(month, "M"), np.datetime64(month, "M") + 1, dtype="datetime64[D]")
    weight = _WEEKDAYS[_weekday(days)]
    day = rng.choice(days, count, p=weight / weight.sum()).astype("datetime64[s]")
    hour = rng.choice(24, count, p=_HOURS / _HOURS.sum())
    return np.sort(day + hour * 3600 + rng.integers(0, 3600, count))


def _weekday(times: Array) -> Array:
    """Return 0 for Monday to 6: day 0, 1970-01-01, was a Thursday."""
    weekday: Array = (times.astype("datetime64[D]").astype(int) + 3) % 7
    return weekday


def _strays(rng: np.random.Generator, month: str) -> Array:
    """Draw pickup times outside a month: the second before it, the instant it ends, others months away."""
    first = np.datetime64(month, "M")
    times: Array = (first + rng.choice([-3, -2, -1, 1, 2], _STRAYS)).astype("datetime64[s]")
    times += rng.integers(0, 28 * 86400, _STRAYS)
    times[:2] = first.astype("datetime64[s]") - 1, (first + 1).astype("datetime64[s]")
    return times


def _places(rng: np.random.Generator, yellow: Array, seed: str, count: int) -> tuple[Array, Array]:
    """Draw pickup and dropoff zones, of which a few are popular: the same ones in all months of a seed."""
    known = _rng(seed, "zones").permutation(np.arange(1, _ZONES - 1))
    # Green taxis may hardly pick up in yellow zones; the two zones for "elsewhere" are the rarest.
    known = np.concatenate([known[~yellow[known]], known[yellow[known]], [_ZONES - 1, _ZONES]])
    rank = np.arange(1, _ZONES + 1)
    pickup = rng.choice(known, count, p=1 / rank / (1 / rank).sum())
    dropoff = rng.choice(known, count, p=rank**-0.5 / (rank**-0.5).sum())
    return pickup, np.where(rng.random(count) < 0.12, pickup, dropoff)


def _table(month: str, rows: int, seed: str) -> tuple[pa.Table, int]:
    """Make a month's table, and say how many of its rows are the month's own."""
    rng = _rng(seed, month, rows)
    served = _size(month, rows, seed)
    refunds = max(1, rows // 300)
    count = served - _TWINS - refunds  # a twin or refund is two rows
    metered = count - round(0.06 * served)
    null = np.arange(count) >= metered
    stray, twin, refund, edge = np.split(
        rng.permutation(metered)[: _STRAYS + _TWINS + refunds + 1], np.cumsum([_STRAYS, _TWINS, refunds])
    )

    # TLC puts the rows with nulls last; of those it knows the minute only.
    last = _pickups(rng, month, count - metered).astype("datetime64[m]").astype("datetime64[s]")
    pickup = np.concatenate([_pickups(rng, month, metered), last])
    pickup[edge] = np.datetime64(month, "s")
    pickup[stray] = _strays(rng, month)
    hour = (pickup - pickup.astype("datetime64[D]")).astype(int) // 3600

    # Hundredths of a mile and of a dollar, so that sums are exact.
    miles = np.where(rng.random(count) < 0.05, 0, rng.lognormal(math.log(190), 0.8, count)).astype(int)
    while len(repeats := _repeats(pickup.astype(int) * 10**6 + miles)):
        miles[repeats] += 1
    seconds = (miles * 36 / rng.lognormal(math.log(11), 0.3, count) + rng.gamma(2, 75, count)).astype(int)
    yellow = np.array([number > 0 and _zone(number)[2] == "Yellow Zone" for number in range(_ZONES + 1)])
    start, end = _places(rng, yellow, seed, count)
    payment = rng.choice([1, 2, 3, 4], count, p=[0.69, 0.302, 0.006, 0.002])
    payment[twin], payment[refund] = 2, 3
    flat = rng.random(count) < 0.035  # a fare agreed beforehand
    flat[twin] = False
    fare = 300 + 70 * np.rint(0.032 * miles + 0.0125 * seconds).astype(int)
    fare = np.where(flat, fare // 500 * 500 + 500, fare) + np.where(null, rng.integers(0, 70, count), 0)
    rush = (hour >= 16) & (hour < 20) & (_weekday(pickup) < 5)
    night = (hour >= 20) | (hour < 6)
    cents = {
        "fare_amount": fare,
        "extra": np.where(null, 0, 250 * rush + 100 * night),
        "mta_tax": np.where(null | flat, 0, 50),
        "tip_amount": np.where(payment == 1, fare * rng.choice([0, 15, 20, 25, 30], count) // 100, 0),
        "tolls_amount": np.where((miles > 500) & (rng.random(count) < 0.15), 694, 0),
        "improvement_surcharge": np.full(count, 100),
        "congestion_surcharge": np.where(yellow[end], 275, 0),
    }
    for name in ("fare_amount", "extra", "tolls_amount"):
        cents[name][twin] = 0

    # A reversal follows its row and negates the amounts: of a whole fare it is a refund, of no fare a
    # near-duplicate. The surcharge's sign tells the two rows apart.
    order = np.sort(np.concatenate([np.arange(count), twin, refund]))
    sign = np.where(np.diff(order, prepend=-1) == 0, -1, 1)
    columns = {
        "VendorID": rng.choice([1, 2], count, p=[0.13, 0.87]),
        "lpep_pickup_datetime": pickup.astype("datetime64[us]"),
        "lpep_dropoff_datetime": (pickup + seconds).astype("datetime64[us]"),
        "store_and_fwd_flag": rng.choice(["N", "Y"], count, p=[0.997, 0.003]),
        "RatecodeID": np.where(flat, 5, 1),
        "PULocationID": start,
        "DOLocationID": end,
        "passenger_count": rng.choice([0, 1, 2, 3, 4, 5, 6], count, p=[0.01, 0.83, 0.09, 0.02, 0.01, 0.025, 0.015]),
        "trip_distance": miles / 100,
        "ehail_fee": np.zeros(count),
        "payment_type": payment,
        "trip_type": np.where(flat, 2, 1),
    }
    columns = {name: values[order] for name, values in columns.items()}
    columns |= {name: values[order] * sign / 100 for name, values in cents.items()}
    columns["total_amount"] = np.sum(list(cents.values()), axis=0)[order] * sign / 100
    nulls = {field.name: null[order] & (field.name in NULL_TOGETHER) for field in SCHEMA}
    nulls["ehail_fee"] = np.full(served, fill_value=True)
    arrays = [_array(columns[field.name], field.type, nulls[field.name]) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA), served - _STRAYS


def _array(values: Array, kind: pa.DataType, null: Array) -> pa.Array:
    """Make an Arrow array of numbers, times or single letters; `pa.array` would import pandas, 0.4 s."""
    buffers: list[Array] = [np.packbits(~null, bitorder="little")]
    if pa.types.is_large_string(kind):
        buffers += [np.arange(len(values) + 1), values.astype("S1")]
    else:
        buffers += [values.astype(f"{'f' if pa.types.is_floating(kind) else 'i'}{kind.bit_width // 8}")]
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(buffer) for buffer in buffers])


def _repeats(keys: Array) -> Array:
    """Return the places of keys that stand earlier too."""
    return np.setdiff1d(np.arange(len(keys)), np.unique(keys, return_index=True)[1])


def generated(month: str, rows: int, seed: str) -> MonthFacts:
    """Return what the file of a month would hold that `write_month` made, without making it."""
    served = _size(month, rows, seed)
    return MonthFacts(month, served, served - _STRAYS, real=False)


def spoil(path: Path) -> None:
    """Take the pickup zone from every tenth row of a file: rows that can be loaded, and that no test should let by."""
    table = pq.read_table(path)
    place = table.schema.get_field_index("PULocationID")
    spoiled = pc.if_else(pa.array(np.arange(table.num_rows) % 10 == 0), None, table.column(place))
    pq.write_table(table.set_column(place, table.schema.field(place), spoiled), path)


def write_month(path: Path, month: str, rows: int = 2000, seed: str = "course") -> MonthFacts:
    """Write a generated month.

    Parameters
    ----------
    path
        The Parquet file to write.
    month
        'YYYY-MM'.
    rows
        About how many rows it gets: within 5 %, and another number than the months near it get.
    seed
        What the rows are made from.

    Returns
    -------
    MonthFacts
        What the file holds.

    Raises
    ------
    CourseError
        If `month` is not a month, or `rows` are fewer than `SMALLEST`.
    """
    if not re.fullmatch(_MONTH, month):
        raise CourseError(f"'{month}' is not a month.", todo="Write a month as YYYY-MM, such as 2024-01.")
    if rows < SMALLEST:
        raise CourseError(
            f"A month of {rows} rows is too small to show what is wrong in TLC's files.",
            todo=f"Ask for {SMALLEST} rows or more.",
        )
    table, in_month = _table(month, rows, seed)
    pq.write_table(table, path, compression="zstd")
    return MonthFacts(month, table.num_rows, in_month, real=False)


def read_facts(path: Path) -> MonthFacts:
    """Count the rows of a real file, and refuse one that the course cannot load.

    Parameters
    ----------
    path
        A file with TLC's name, `green_tripdata_YYYY-MM.parquet`.

    Returns
    -------
    MonthFacts
        What the file holds.

    Raises
    ------
    CourseError
        If the name is not TLC's, or the file is not readable as Parquet, lacks a column, or has pickup
        times that are not timestamps. More columns, as in later years, are welcome.
    """
    named = re.fullmatch(rf"green_tripdata_({_MONTH})\.parquet", path.name)
    if not named:
        raise _unusable(path, f"has a name that is not TLC's, such as {file_name('2024-01')}")
    rows = in_month = 0
    with _parquet(path) as file:
        missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
        if missing:
            some = f"{len(missing)} of TLC's {len(SCHEMA)} green taxi columns"
            raise _unusable(path, f"lacks {some}: {', '.join(missing)}")
        if not pa.types.is_timestamp(file.schema_arrow.field("lpep_pickup_datetime").type):
            raise _unusable(path, "has a column lpep_pickup_datetime that holds no timestamps")
        # Every column is read, since a damaged one would only show in the student's run.
        for batch in file.iter_batches(columns=SCHEMA.names):
            rows += batch.num_rows
            months = pc.floor_temporal(batch.column("lpep_pickup_datetime"), unit="month").value_counts()
            names = pc.strftime(months.field("values"), format="%Y-%m").to_pylist()
            in_month += dict(zip(names, months.field("counts").to_pylist(), strict=True)).get(named[1], 0)
    return MonthFacts(named[1], rows, in_month, real=True)


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; what cannot be read of it is a `CourseError`."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise _unusable(path, f"is not a readable Parquet file ({reason})") from error


def _unusable(path: Path, wrong: str) -> CourseError:
    """Say what is wrong with a file of the user's, and what helps."""
    return CourseError(
        f"{path.name} {wrong}.",
        where=str(path),
        todo="Download TLC's file again (an error page may have been saved in its place), or take it out of "
        "the folder: what the folder does not hold is generated.",
    )


def stock(folder: Path, months: Sequence[str], *, rows: int, seed: str, data: Path | None) -> dict[str, MonthFacts]:
    """Fill a folder with what the source serves.

    Parameters
    ----------
    folder
        Where `trip-data` and `misc` are made.
    months
        The months to serve, each 'YYYY-MM'.
    rows, seed
        Size and seed of the months that are generated; see `write_month`.
    data
        A folder of TLC's files. Those of the months, and the zone lookup, are copied from it; what it does
        not hold is generated. None: everything is generated.

    Returns
    -------
    dict of str to MonthFacts
        What each month holds, in the order of `months`.

    Raises
    ------
    CourseError
        If `data` is not a folder, or holds a broken Parquet file, a month without TLC's columns or a zone
        lookup without its header.
    """
    given = _given(data) if data else {}
    (folder / "trip-data").mkdir(parents=True, exist_ok=True)
    (folder / "misc").mkdir(exist_ok=True)
    facts = {}
    for month in months:
        into = folder / "trip-data" / file_name(month)
        if real := given.get(into.name):
            facts[month] = read_facts(real)
            # A copy: neither a link that leads out of the folder, nor one that could be written through.
            shutil.copyfile(real, into)
        else:
            facts[month] = write_month(into, month, rows, seed)
    if zones := given.get(ZONES_FILE):
        shutil.copyfile(zones, folder / "misc" / ZONES_FILE)
    else:
        write_zones(folder / "misc" / ZONES_FILE)
    return facts


def _given(data: Path) -> dict[str, Path]:
    """Return the user's files by name; refuse broken ones, whether or not they would be served."""
    if not data.is_dir():
        raise CourseError(
            f"{data} is not a folder.",
            where=str(data),
            todo=f"Name a folder that holds TLC's files: {file_name('YYYY-MM')}, {ZONES_FILE}.",
        )
    given = {path.name: path for path in sorted(data.iterdir())}
    for name, path in given.items():
        if path.suffix == ".parquet":
            with _parquet(path):
                pass
        elif name == ZONES_FILE:
            header = path.read_bytes().partition(b"\n")[0].decode(errors="replace").strip()
            if header.replace('"', "").split(",") != ZONES_HEADER:
                raise _unusable(path, f"does not begin with the columns {', '.join(ZONES_HEADER)}")
    return given
