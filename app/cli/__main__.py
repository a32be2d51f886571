"""`python -m app.cli`, for a supervisor that starts the API with its own Python."""

from app.cli.main import main

if __name__ == "__main__":
    main()
