"""What several processes do to a shop: its facts, its deposit, what a ban holds back."""
