"""A made-up class, graded to see that every mark is right."""
