"""What is on disk: analyses, versions, visualization states, sessions and exports."""
