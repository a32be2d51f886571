"""What an operator asks: what a process needs and lacks, and whether it still works."""
