from jobs.control.registry_reader import ModelVersion, resolve_alias  # temporary
