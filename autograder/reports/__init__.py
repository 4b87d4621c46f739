"""What comes out: marks, explanations, exports, and the page of the class."""
