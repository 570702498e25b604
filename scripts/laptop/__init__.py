"""The laptop's side of the lake: processes, ports, secrets and the calls that the Makefile's scripts share."""
