"""A workload as small as one can be, with nothing of flights in it: proof that no room knows what flights are."""
