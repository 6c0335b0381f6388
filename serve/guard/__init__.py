"""Who may ask, how often, how much, and how long it may take."""
