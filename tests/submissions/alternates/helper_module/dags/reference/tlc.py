"""Where the TLC's files are, and what of them belongs to a month."""

import io
import os

import pandas as pd
import requests

BASE = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def parquet_url_for(ds: str) -> str:
    return f"{BASE}/trip-data/green_tripdata_{ds[:7]}.parquet"


def trips_of(ds: str) -> pd.DataFrame:
    response = requests.get(parquet_url_for(ds), timeout=60)
    response.raise_for_status()
    frame = pd.read_parquet(io.BytesIO(response.content))
    return frame[frame["lpep_pickup_datetime"].dt.strftime("%Y-%m") == ds[:7]]
