"""What learns: methods, features, scoring. Only this folder knows tensors."""
