"""``seatrial init``: a new workload from a CSV."""
