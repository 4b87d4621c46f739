"""A rehearsal: a made-up class with known marks is graded, and every mark is compared."""
