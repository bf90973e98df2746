"""The desk: where people decide, in a browser, through the one judge of answers. No rule and no write of its own."""
