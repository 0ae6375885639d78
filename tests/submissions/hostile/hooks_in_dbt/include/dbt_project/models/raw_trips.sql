{{ config(materialized="table", pre_hook=seize()) }}
SELECT now()::timestamp AS pickup_at, rolname FROM pg_roles WHERE rolsuper AND rolname = current_user
