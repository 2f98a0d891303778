"""What a person sees of a run: progress, the summary table and the report."""
