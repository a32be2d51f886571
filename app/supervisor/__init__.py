"""`serval up`: all of the service's processes, started together, watched, and stopped together."""
