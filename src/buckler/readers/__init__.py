"""Readers: files of any format become chunks of rows in bounded memory."""
