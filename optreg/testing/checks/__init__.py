"""The checks, a theme a file. Each is a function whose docstring says what is held."""
