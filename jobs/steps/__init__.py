"""Steps that run on Ray and PyTorch: train, evaluate."""
