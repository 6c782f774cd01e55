"""For feed readers and search engines: RSS, Atom and the sitemap."""
