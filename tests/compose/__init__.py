"""The stack proven by running it: `make test-compose`."""
