"""What the command line does: the demo, the doctor, and the list of models."""
