"""The command line: everything an operator or a developer runs."""
