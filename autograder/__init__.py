"""Run what a student hands in on a real Airflow, and judge what happened."""
