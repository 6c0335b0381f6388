"""Which version answers which request, and taking a version back when it does worse than the one before it."""
