"""Will this flight arrive more than 15 minutes late? The workload that `make run` takes through every room."""
