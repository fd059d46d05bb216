"""What is done with data and methods: runs found or made, measured, compared. Prints nothing."""
