"""A study: the same data, learnt by many trainings that differ in what a paper's table compares."""
