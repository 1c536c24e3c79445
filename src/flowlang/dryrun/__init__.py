"""A run that only tells what it would do: the plan walked with the values that are known, nothing opened or sent."""
