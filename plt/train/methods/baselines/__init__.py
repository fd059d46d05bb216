"""Methods that learn little or nothing, against which the others are held."""
