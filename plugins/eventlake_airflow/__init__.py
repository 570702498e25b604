"""Operators, sensors, triggers and callbacks: the only code of the lake that imports Airflow."""
