select raw.rows, fct.rows as kept
from (select count(*) as rows from {{ ref('stg_green_trips') }}) as raw
cross join (select count(*) as rows from {{ ref('fct_trips') }}) as fct
where raw.rows <> fct.rows
