"""What a student's own notebooks need: reading and checking them, and a doctor for the installation."""

