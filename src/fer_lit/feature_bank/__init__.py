"""Features of the frozen backbone: computed fast, once, and kept on disk."""
