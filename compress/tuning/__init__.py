"""Search over student size and training settings: accuracy against multiply-adds."""
