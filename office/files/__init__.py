"""Papers: staged, named by a case, opened by whoever decides."""
