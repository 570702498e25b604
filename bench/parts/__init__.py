"""What a benchmark runs as processes of their own, each in the environment that it needs.

Belongs in here: work, and what it cost, told in JSON. What does not: which work is compared with which.
"""
