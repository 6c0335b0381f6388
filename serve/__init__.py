"""A model bundle to a predictor to a Ray Serve application."""
