"""Asks the product and its peers the same questions: `make comparison` runs it all."""
