"""Raw tables to features to a published dataset: the only room that knows PySpark and its engines."""
