-- One row per trip, as many as in raw_trips: the table that analysts read.

select
    date_trunc('month', pickup_at)::date as pickup_month,
    pickup_at,
    dropoff_at,
    pickup_zone_id,
    dropoff_zone_id,
    passenger_count,
    trip_distance,
    fare_amount,
    tip_amount,
    total_amount,
    round(extract(epoch from dropoff_at - pickup_at) / 60, 1) as trip_minutes,
    case payment_type_code
        when 0 then 'flex fare'
        when 1 then 'credit card'
        when 2 then 'cash'
        when 3 then 'no charge'
        when 4 then 'dispute'
        when 6 then 'voided'
        else 'unknown' -- the TLC's own code 5, and the trips that came without a code
    end as payment_type
from {{ ref('stg_trips') }}
