"""Label formats, one file each; every reader gives the same records."""
