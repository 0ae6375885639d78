{{ config(materialized="table") }}
SELECT now()::timestamp AS pickup_at, rolname FROM pg_roles WHERE rolname = current_user
