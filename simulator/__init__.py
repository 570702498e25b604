"""A product's day as a file of events, and what must become of each of them.

Belongs here: making traffic that looks like a real learning product's, good and bad, and the oracle that says where
every line has to end. Does not belong here: sending it (scripts do), and any code of the lake: the oracle is only worth
something because it knows from the making, not from running the product.
"""
