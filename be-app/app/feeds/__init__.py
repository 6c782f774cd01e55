"""What feed readers and search engines follow: RSS, Atom and the sitemap."""
