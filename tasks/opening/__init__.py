"""开店入驻、重新开店: opening a shop, and opening it again."""
