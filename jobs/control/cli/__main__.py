from jobs.control.cli import entry

entry()
