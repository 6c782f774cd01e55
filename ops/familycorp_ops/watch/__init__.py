"""Log lines and figures of the running application."""
