"""What people order on the page: a form, a preview of what it will do, and one command that is sent once."""
