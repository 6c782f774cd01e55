"""Inquiries: messages that visitors send by the contact form."""
