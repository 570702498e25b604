"""The local AWS of this lake: ministack, and the gaps that it leaves, closed one service at a time.

Belongs in here: what AWS documents and ministack does not do. Does not belong here: anything of the product; nothing
in this package imports it, and the product never asks whether it runs on this.
"""
