"""Measures the product beside its peers and the floor: `make bench` runs it all."""
