"""One small model for every task type, on the parcels of ``tests/workloads/kinds_data.py``."""
