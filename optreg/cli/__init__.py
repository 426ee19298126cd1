"""The command line: a file a command, each imported when it is called."""
