"""The API as a process: it listens, speaks HTTP, and stops in good order."""
