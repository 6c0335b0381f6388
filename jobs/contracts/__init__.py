"""What the rooms share: errors, storage, fingerprints, datasets, bundles, workloads, jobs. Pydantic and pyarrow only."""
