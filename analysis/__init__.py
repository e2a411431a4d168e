"""What an analysis is and what can be computed from it: NumPy in, NumPy and dataclasses out."""
