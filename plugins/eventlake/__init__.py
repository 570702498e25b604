"""The rules of the lake, in pure standard-library Python: what an event is, what becomes of it, do the books balance.

This package ships whole to Lambda, Glue and Airflow workers. It does no I/O, reads no clock and imports nobody.
Import the module you need; this file only names the house.
"""
