"""Making a finished model better on own images: from labels to a model of two stages, in one resumable run.

check -> split -> score the start -> crops -> second stage -> detector -> choose -> deliver. docs/own_data.md.
"""
