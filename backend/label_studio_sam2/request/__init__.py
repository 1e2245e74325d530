"""What belongs to the request that a thread works for: how long its stages take, and whether anybody still waits."""
