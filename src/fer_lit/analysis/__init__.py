"""What trained networks look at, what they get right, and what an occlusion costs them."""
