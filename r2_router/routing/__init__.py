"""From a request to a decision: vector, predictions, candidates, rank."""
