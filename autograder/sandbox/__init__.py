"""The sandbox around student code, what it may use, and attacks that test it."""
