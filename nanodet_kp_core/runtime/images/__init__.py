"""Images from messages, files, videos, cameras and recordings."""
