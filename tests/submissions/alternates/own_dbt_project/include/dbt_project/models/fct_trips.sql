{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='pickup_month') }}
select
    to_char(pickup_datetime, 'YYYY-MM') as pickup_month,
    *
from {{ ref('stg_green_trips') }}
{% if is_incremental() %}
where to_char(pickup_datetime, 'YYYY-MM') = '{{ var('month') }}'
{% endif %}
