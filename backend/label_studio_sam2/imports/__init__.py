"""A data set that exists already comes in, to be improved instead of begun anew."""
