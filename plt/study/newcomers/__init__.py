"""New people: shots, questions, baselines and what each run says of them."""
