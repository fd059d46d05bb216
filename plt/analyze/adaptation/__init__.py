"""How well new people are served by the number of their answers, and for whom it is worse."""
