"""The two command lines: what is checked before Hydra runs them."""
