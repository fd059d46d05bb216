"""Users and pairs divided so that nothing leaks; samples and protocols."""
