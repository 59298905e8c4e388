"""PyTorch: ``framework`` says how to drive it, ``losses`` computes the losses."""
