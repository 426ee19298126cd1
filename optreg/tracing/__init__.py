"""Run a rule once on symbols and get what it does: arrays, host scalars, statements and dtypes."""
