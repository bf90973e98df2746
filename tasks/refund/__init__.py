"""退保证金: returning the deposit."""
