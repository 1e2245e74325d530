"""What outlives a request: jobs, tracks that go on, answers that came late, the last problem of a project."""
