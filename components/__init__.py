"""What is on the page: layouts and figures, pure functions of data."""
