"""A real Airflow on this machine: its database, its processes and the source that its DAGs read."""
