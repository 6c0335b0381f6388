"""The web page of the practice services, and the JSON behind it and behind the command line."""
