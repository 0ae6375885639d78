"""From a submission to evidence: run it on a real Airflow and write down what happened."""
