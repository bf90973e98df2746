"""Cases and questions to people: effects, waits, deadlines, reviews, letters, forms."""
