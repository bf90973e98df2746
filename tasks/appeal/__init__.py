"""申诉: hearing a merchant against a ruling."""
