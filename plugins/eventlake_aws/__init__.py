"""The hands on AWS that workers and scripts share: boto3 and PyIceberg, without Airflow and without rules.

Each module gathers inputs for a rule of `eventlake`, or carries out the plan that a rule returned.
"""
