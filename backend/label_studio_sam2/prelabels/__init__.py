"""Nobody clicked: batches, opened tasks and whole projects are given masks, or encoded ahead."""
