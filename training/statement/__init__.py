"""How the detector of statements about people is made."""
