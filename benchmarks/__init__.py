"""What the project measures about itself; each module is a program."""
