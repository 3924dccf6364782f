"""The command line: everything a person or a process manager starts, and the servers of `dev`."""
