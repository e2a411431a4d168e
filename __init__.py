"""Watch GPT-2's tokens travel through the clusters of each layer, and keep what you find."""
