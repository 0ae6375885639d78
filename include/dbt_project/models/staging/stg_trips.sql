-- One row per raw row: names in snake_case, codes as integers, money as numeric. Nothing is filtered or
-- removed as a duplicate: two rows that look alike are two rows that the TLC published.

select
    "VendorID" as vendor_id,
    "lpep_pickup_datetime" as pickup_at,
    "lpep_dropoff_datetime" as dropoff_at,
    "PULocationID" as pickup_zone_id,
    "DOLocationID" as dropoff_zone_id,
    "RatecodeID"::integer as rate_code,
    "passenger_count"::integer as passenger_count,
    "payment_type"::integer as payment_type_code,
    "trip_type"::integer as trip_type_code,
    "store_and_fwd_flag" = 'Y' as was_stored_and_forwarded,
    "trip_distance" as trip_distance,
    "fare_amount"::numeric(10, 2) as fare_amount,
    "tip_amount"::numeric(10, 2) as tip_amount,
    "tolls_amount"::numeric(10, 2) as tolls_amount,
    "total_amount"::numeric(10, 2) as total_amount
from {{ source('tlc', 'raw_trips') }}
