"""Any number of finished runs and tables of scores, read and compared."""
