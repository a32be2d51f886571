"""What a study begins, what it waits for, and how it ends."""
