"""Pages for a notebook: HTML in which whatever comes from outside is text."""
