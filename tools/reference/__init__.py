"""Reference pages written from the code, one file for each page."""
