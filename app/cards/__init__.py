"""Model cards: what is known of a model and what an audit measured, as a README.md that the Hugging
Face Hub reads."""
