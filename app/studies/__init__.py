"""Studies: a grid of trainings, each followed by audits of its model, as one job."""
