"""Jobs: audits and trainings share one life cycle, one table and one set of routes."""
