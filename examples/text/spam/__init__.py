"""Is this message spam? Free text through a small transformer, trained from scratch."""
