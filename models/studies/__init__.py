"""Studies: grids of trainings, each audited, and the tables of what was found."""
