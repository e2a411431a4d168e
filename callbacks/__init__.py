"""What happens when a person acts: one module a panel."""
