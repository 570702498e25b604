"""What the Glue jobs are made of, one subject a module; a job's script joins them. Import the modules, not this.

May import `eventlake` (the rules) and pyspark; never Airflow, never `eventlake_aws`.
"""
