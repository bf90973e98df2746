"""The people who decide: proving who somebody is, counting wrong codes, noticing that nobody is left."""
