"""How the digit reader that ships was made: `python -m training.digits`."""
