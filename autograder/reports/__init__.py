"""Reports on the results: marks, explanations, exports, and a page about the class."""
