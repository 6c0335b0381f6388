"""Job files and what they run: contracts, control (spec, plan, backends, pipeline, registry, CLI), scoring, steps."""
