"""Which record comes when: order, sharding, and random numbers that need no state."""
