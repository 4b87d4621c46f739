"""Where student code runs: what it may see and take, and attacks that prove it."""
