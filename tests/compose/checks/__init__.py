"""What is claimed of the stack, a file for each subject."""
