"""News, notices and everything else that is written for the site."""
