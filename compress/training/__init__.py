"""Training against a teacher's probabilities: one loop for all stages that train."""
