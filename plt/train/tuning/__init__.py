"""One fine-tuned reward model, and what all fine-tuning shares."""
