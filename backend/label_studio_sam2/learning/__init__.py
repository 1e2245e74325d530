"""What annotators accepted becomes a tuned version of the model, if it is better."""
