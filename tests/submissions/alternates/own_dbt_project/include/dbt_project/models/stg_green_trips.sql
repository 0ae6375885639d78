{{ config(materialized='view') }}
select
    t."VendorID" as vendor_id,
    t.lpep_pickup_datetime as pickup_datetime,
    t.lpep_dropoff_datetime as dropoff_datetime,
    t."PULocationID" as pickup_location_id,
    t."DOLocationID" as dropoff_location_id,
    coalesce(t.passenger_count, 1)::int as passengers,
    t.trip_distance * 1.609344 as kilometres,
    t.total_amount as total_amount
from {{ source('raw', 'raw_trips') }} as t
