"""Job files, plans, backends, the pipeline driver, the registry and the command line. No engine is imported here."""
