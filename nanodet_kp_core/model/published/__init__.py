"""Parts of published systems that the shipped models do not use."""
