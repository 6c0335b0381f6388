"""Which digit was written? Small images through a small convolutional network."""
