"""One file a method, in rooms by what it knows of the user."""
