-- Returns the months in which fct_trips and raw_trips disagree on the number of trips. None is a pass.

with raw_months as (

    select date_trunc('month', "lpep_pickup_datetime")::date as pickup_month, count(*) as trips
    from {{ source('tlc', 'raw_trips') }}
    group by 1

),

fct_months as (

    select pickup_month, count(*) as trips
    from {{ ref('fct_trips') }}
    group by 1

)

select
    pickup_month,
    raw_months.trips as raw_trips,
    fct_months.trips as fct_trips
from raw_months
full outer join fct_months using (pickup_month)
where raw_months.trips is distinct from fct_months.trips
