"""What sensing finds, misses and costs."""
