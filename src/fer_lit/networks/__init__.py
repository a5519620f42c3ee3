"""The two GoogLeNets, their weights, and what is trained on top of them."""
