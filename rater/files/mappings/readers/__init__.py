"""What divides a switch's file into records, and a record into fields; one module for each family of formats."""
