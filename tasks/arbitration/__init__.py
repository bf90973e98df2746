"""仲裁: rulings, their withdrawal, correction and compensation."""
