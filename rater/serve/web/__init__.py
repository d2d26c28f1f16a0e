"""The page for people who pay: sign-in, screens, and money by hand, rendered by the server."""
