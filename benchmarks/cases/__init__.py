"""One file per case; each has ``run(bench)``."""
